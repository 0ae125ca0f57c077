"""The ``harness`` command as a user calls it: a real process in a folder of its own."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from harness.machine.checksums import verify_checksum

PLUGINS = Path(__file__).parent / "plugins"
COMMAND = [sys.executable, "-m", "harness"]


@dataclass
class HarnessCommand:
    """Calls ``harness`` in ``folder``; ``faulty`` plugins are installed, CIFAR-10 is not here."""

    folder: Path
    environment: dict[str, str]

    def __call__(self, *arguments: str, timeout: float = 250, **variables: str):
        return subprocess.run(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment | variables,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen:
        return subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def in_shell(self, line: str) -> subprocess.CompletedProcess:
        """A line of bash, whose first ``harness`` is the command."""
        return subprocess.run(
            ["bash", "-c", line.replace("harness", f"{sys.executable} -m harness", 1)],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def records(self) -> list[dict]:
        return [stored(path) for path in sorted(self.folder.glob("results/runs/*.json"))]


def stored(path: Path) -> dict:
    """The record in a file, whose checksum is that of its content; returned without it."""
    content = path.read_bytes()
    verify_checksum(content)
    document = json.loads(content)
    document.pop("checksum", None)
    return document
