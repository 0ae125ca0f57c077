"""The ``harness`` command as a user calls it: a real process in a folder of its own."""

import contextlib
import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from dataclasses import dataclass
from pathlib import Path

from click.shell_completion import BashComplete

from harness.core.machine.checksums import verify_checksum
from harness.core.shell.main import cli
from support import forked

PLUGINS = Path(__file__).parent / "plugins"
COMMAND = [sys.executable, "-m", "harness"]
#: Exit codes that follow from the status of a run; of any other status it is 1.
EXIT_CODES = {"ok": 0, "unsupported": 2}
#: Ends of lines, and the sequences by which a terminal is told to write over a line.
_LINE_ENDS = re.compile(r"(?:\r|\n|\x1b\[[0-9;?]*[a-zA-Z])+")


@dataclass
class HarnessCommand:
    """Calls ``harness`` in ``folder``; ``faulty`` plugins are installed, CIFAR-10 is not here."""

    folder: Path
    environment: dict[str, str]

    def __call__(self, *arguments: str, timeout: float = 250, **variables: str):
        environment = self.environment | variables
        if forked.can_fork(variables):
            return forked.run(list(arguments), self.folder, environment, timeout)
        return subprocess.run(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def ok(self, *arguments: str, **options):
        """A call that must succeed."""
        done = self(*arguments, **options)
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def recorded(self, status: str, *arguments: str, **options):
        """The only record after a run that ends with this status, and the call."""
        done = self(*arguments, **options)
        (record,) = self.records()
        expected = status, EXIT_CODES.get(status, 1)
        assert (record["status"], done.returncode) == expected, done.stdout + done.stderr
        return record, done

    def start(self, *arguments: str) -> subprocess.Popen:
        return subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def in_terminal(self, *arguments: str, columns: int) -> list[str]:
        """The different lines that appear on a terminal of this width, states of the live line among them."""
        terminal, inner = pty.openpty()
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        process = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment | {"TERM": "xterm"},
            stdin=inner,
            stdout=inner,
            stderr=inner,
            start_new_session=True,
        )
        os.close(inner)
        printed = bytearray()
        with contextlib.suppress(OSError):  # EIO: the command has ended
            while part := os.read(terminal, 2**16):
                printed += part
        os.close(terminal)
        process.wait()
        return list(dict.fromkeys(_LINE_ENDS.split(printed.decode())))

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


def python(code: str, *arguments: str, **options) -> str:
    """What a program prints that must succeed, in an interpreter of its own."""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def imported_by(code: str, **options) -> set[str]:
    """The modules that a program has imported at its end."""
    lines = f"try:\n    exec({code!r})\nfinally:\n    import sys; print('IMPORTED', *sys.modules)"
    return set(python(lines, **options).rpartition("IMPORTED")[2].split())


def script(path: Path, text: str) -> str:
    """A shell script at a path, which can stand for an interpreter."""
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def complete(line: str) -> list[str]:
    """Return what is offered for ``line``, whose last word is incomplete."""
    _, *words, incomplete = line.split(" ")
    shell = BashComplete(cli, {}, "harness", "_HARNESS_COMPLETE")
    return [item.value for item in shell.get_completions(words, incomplete)]
