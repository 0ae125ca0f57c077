"""What the benchmarks share: options, the command in a process, files of trials, and what a trial leaves."""

import argparse
import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

import psutil
from tabulate import tabulate

TESTS = Path(__file__).parents[1]
PLUGINS = TESTS / "support" / "plugins"
HARNESS = (sys.executable, "-m", "harness")


def parser(text: str, *, trials: bool = False) -> argparse.ArgumentParser:
    """The options of a script with this docstring; with ``trials`` the file that its trials are added to."""
    made = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    if trials:
        made.add_argument("file", type=Path, help="file of the trials; those in it count too")
        made.add_argument("--minutes", type=float, default=60.0, help="begin no trial later")
    return made


def harness(*arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """The command with these arguments, and its output as text."""
    return subprocess.run(
        [*HARNESS, *map(str, arguments)],
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
    )


def stored(file: Path) -> list[dict]:
    """The trials in a file, which need not exist."""
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def store(file: Path, trial: dict) -> None:
    """Print a trial and append it to a file."""
    line = json.dumps(trial, ensure_ascii=False)
    print(line, flush=True)
    with file.open("a") as lines:
        lines.write(line + "\n")


def table(headers: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table."""
    return tabulate(rows, headers, tablefmt="github", disable_numparse=True)


def until(minutes: float) -> Iterator[None]:
    """Repeat until the time is up."""
    end = time.monotonic() + 60 * minutes
    while time.monotonic() < end:
        yield


class Place:
    """A folder for commands that are killed, with results, data and temporary files of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.results, self.temporary = folder, folder / "results", folder / "temporary"
        self.temporary.mkdir()
        self.output = folder / "output"
        self._environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(filter(None, [str(PLUGINS), os.environ.get("PYTHONPATH")])),
            "HARNESS_DATA_DIR": str(folder / "data"),
            "TMPDIR": str(self.temporary),
        }

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start the command as the leader of a process group; its output is added to a file."""
        with self.output.open("ab") as output:
            return subprocess.Popen(
                [*HARNESS, *arguments],
                cwd=self.folder,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def left(self, seconds: float) -> list[str]:
        """The processes and temporary files of the commands that are still there after so long."""
        end = time.monotonic() + seconds
        while (found := [*self._processes(), *self._files()]) and time.monotonic() < end:
            time.sleep(0.1)
        return found

    def _files(self) -> list[str]:
        return [f"temporary file left: {path.name}" for path in self.temporary.iterdir()]

    def _processes(self) -> Iterator[str]:
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get("TMPDIR", "").startswith(str(self.temporary)):
                    yield f"process left: {' '.join(process.cmdline()[-3:])}"
