"""The worker process: run as ``python -P -m harness.core.worker REQUEST_FD REPLY_FD``."""

import sys

from harness.core.worker.serving import serve

if __name__ == "__main__":
    serve(int(sys.argv[1]), int(sys.argv[2]))
