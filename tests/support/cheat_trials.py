"""Tries a cheat of ``plugins/cheats.py`` against each command; says which found it, and in which words."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

PLUGINS = Path(__file__).parent / "plugins"
FILE = PLUGINS / "cheats.py"
_HARNESS = (sys.executable, "-m", "harness")
_WHERE = ("--task", "mlp", "--device", "cpu", "--threads", "1", "--plugin", str(FILE))
_KIT = """
import sys
from cheats import CheatingBackend
from harness.testing import ConformanceError, check_backend
try:
    check_backend(CheatingBackend(sys.argv[1]), ["mlp"])
except ConformanceError as error:
    sys.exit(str(error))
"""
#: Steps of a run: several epochs of 36 calls.
STEPS = 1500


class Trial(NamedTuple):
    """Whether a command found the cheat, and the beginning of what it said."""

    found: bool
    words: str = ""


class Trials:
    """Commands in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        path = [str(PLUGINS), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._environment = os.environ | {"PYTHONPATH": os.pathsep.join(path), "CHEAT_FOLDER": str(folder)}

    def _call(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )

    def check(self, cheat: str) -> Trial:
        """``harness check``."""
        done = self._call(*_HARNESS, "check", cheat, *_WHERE)
        found = done.returncode != 0 or "cannot be trusted" in done.stdout
        return Trial(found, done.stdout + done.stderr if found else "")

    def kit(self, cheat: str) -> Trial:
        """The conformance kit."""
        done = self._call(sys.executable, "-c", _KIT, cheat)
        return Trial(done.returncode != 0, done.stderr)

    def run(self, cheat: str, *options: str, certify: bool = True) -> Trial:
        """``harness run``; a cheat passes if its run is ok, certified and counts as verified."""
        certified = "--certify" if certify else "--no-certify"
        steps = ("--max-steps", str(STEPS), "--format", "json", "--quiet", certified)
        done = self._call(*_HARNESS, "run", "--backend", cheat, *_WHERE, *steps, *options)
        records = sorted((self._folder / "results" / "runs").glob("*.json"))
        if not records:
            return Trial(found=True, words=done.stderr)
        record = json.loads(records[-1].read_text())
        for path in records:
            path.unlink()
        return _of_record(record, certified=certify)


def _of_record(record: dict, *, certified: bool) -> Trial:
    if record["status"] != "ok":
        return Trial(found=True, words=record["failure"]["message"])
    certificate = record.get("certificate") or {}
    if certified and not certificate.get("certified"):
        return Trial(found=True, words=f"not certified: {certificate.get('reason', '')}")
    if certificate.get("dropout") is False:
        return Trial(found=True, words="certified without dropout")
    clock, work = record.get("clock") or {}, record.get("verification") or {}
    how = work.get("gap") or work.get("verifier")
    words = f"clock {clock.get('outcome')}, work {work.get('outcome')} ({how})"
    return Trial(found=False, words=words)
