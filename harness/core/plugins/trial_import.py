"""The program of a trial import: it imports one plugin and reports the imported modules with their lines.

It runs as a file in a process of its own, so it imports nothing of the harness. Arguments: ``file`` or
``module``; the file's path or the module's name; the descriptor that the report is written to, as a line of
JSON; ``sys.path`` as JSON.
"""

import contextlib
import importlib
import importlib.util
import json
import os
import sys
from pathlib import Path
from types import FrameType

_FILE_MODULE = "plugin_on_trial"


class Recorder:
    """A finder that finds nothing. It records the line of the plugin that imports each top-level module.

    A line may only ask whether a module exists; a later import of it, by another line, is recorded over it.
    """

    def __init__(self, kind: str, source: str) -> None:
        self._package = _FILE_MODULE if kind == "file" else source.partition(".")[0]
        self._folder = Path(source).resolve().parent if kind == "file" else None
        self._lines: dict[str, tuple[str, int]] = {}

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        """Record the importer of the module ``name``; leave finding it to the finders behind this one."""
        if "." in name:
            return
        frame: FrameType | None = sys._getframe(1)  # noqa: SLF001
        while frame is not None and not self._is_plugins(frame):
            frame = frame.f_back
        if frame is not None:
            self._lines[name] = (frame.f_code.co_filename, frame.f_lineno)

    def _is_plugins(self, frame: FrameType) -> bool:
        name = str(frame.f_globals.get("__name__", ""))
        if name.partition(".")[0] == self._package:
            return True
        return self._folder is not None and Path(frame.f_code.co_filename).parent == self._folder

    def imported(self) -> list[tuple[str, str, int]]:
        """Return module, file and line of every top-level module that the plugin imported."""
        return [(name, *line) for name, line in self._lines.items() if name in sys.modules]


def _import(kind: str, source: str) -> None:
    if kind == "module":
        importlib.import_module(source)
        return
    spec = importlib.util.spec_from_file_location(_FILE_MODULE, source)
    if spec is None or spec.loader is None:
        return
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)


def main() -> None:
    """Import the plugin; an exception is left to the real import, which reports it better."""
    kind, source, descriptor, path = sys.argv[1:]
    os.set_inheritable(int(descriptor), False)
    sys.path[:] = json.loads(path)
    process = os.getpid()
    recorder = Recorder(kind, source)
    sys.meta_path.insert(0, recorder)
    with contextlib.suppress(BaseException):
        _import(kind, source)
    if os.getpid() == process:  # not a child that the plugin forked
        with os.fdopen(int(descriptor), "w") as report:
            report.write(json.dumps(recorder.imported()) + "\n")
    os._exit(0)


if __name__ == "__main__":
    main()
