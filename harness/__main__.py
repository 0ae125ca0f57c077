"""``python -m harness`` is the command ``harness``."""

from harness.core.shell.main import main

if __name__ == "__main__":
    main()
