"""Trials of the cheats of ``plugins/cheats.py`` against each command: which finds a cheat, in which words."""

import json
import os
import re
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
_SUITE = """
max_slowdown = "100%"
max_speedup = "60%"
max_first_step_slowdown = "300%"
max_memory_growth = "100%"
[benchmarks.mlp]
backend = "cheat"
task = "mlp"
threads = 1
device = "cpu"
"""
#: Exit codes of failures, and of gates that are inconclusive or invalid.
_NOT_PASSED = (1, 3, 4)
_WRONG_INPUT = 2
#: A gate of so few pairs cannot tell a smaller gain of a cheat from noise.
_GAIN = 0.95
COMMANDS = ("check", "kit", "run", "duel", "gate")
#: Steps of a run: several epochs of 36 calls.
STEPS = 1500


class Trial(NamedTuple):
    """The result of a trial: a command found the cheat or not, its words, and the cheat was faster or not."""

    found: bool
    words: str = ""
    gained: bool | None = None


class Trials:
    """Commands in a folder of their own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.records: list[dict] = []
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

    def make(self, command: str, cheat: str, options: tuple[str, ...] = ()) -> Trial:
        """Try a cheat against a command; trainings get ``options``."""
        if command in ("check", "kit"):
            return getattr(self, command)(cheat)
        if command != "run":
            return getattr(self, command)(cheat, *options)
        if cheat == "replays-disk":
            self.run(cheat, certify=False)  # the training that later ones replay
        return self.run(cheat, *options)

    def check(self, cheat: str) -> Trial:
        """Call ``harness check``."""
        done = self._call(*_HARNESS, "check", cheat, *_WHERE)
        found = done.returncode != 0 or "cannot be trusted" in done.stdout
        why = re.search(r"^\S+ on mlp[^:]*: (?!skipped)(.*)", done.stdout, re.MULTILINE)
        return Trial(found, (why[1] if why else done.stdout + done.stderr) if found else "")

    def kit(self, cheat: str) -> Trial:
        """Call the conformance kit."""
        done = self._call(sys.executable, "-c", _KIT, cheat)
        return Trial(done.returncode != 0, done.stderr)

    def run(self, cheat: str, *options: str, certify: bool = True) -> Trial:
        """Call ``harness run``; a cheat passes if its run is ok, certified and counts as verified."""
        certified = "--certify" if certify else "--no-certify"
        steps = () if "--max-steps" in options else ("--max-steps", str(STEPS))
        words = ("--format", "json", "--quiet", certified)
        done = self._call(*_HARNESS, "run", "--backend", cheat, *_WHERE, *steps, *words, *options)
        assert done.returncode != _WRONG_INPUT, done.stderr
        records = sorted((self._folder / "results" / "runs").glob("*.json"))
        if not records:
            return Trial(found=True, words=done.stderr)
        record = json.loads(records[-1].read_text())
        self.records = [record]
        for path in records:
            path.unlink()
        return _of_record(record, certified=certify)

    def duel(self, cheat: str, *options: str) -> Trial:
        """Call ``harness duel`` against the honest backend."""
        budget = ("--budget", "90s", "--turns", "10", "--quiet")
        done = self._call(*_HARNESS, "duel", "honest", cheat, *_WHERE, *budget, *_of_steps(options))
        trial = _of_text(done)
        if trial.found:
            return trial
        (result,) = self._newest("duels")["results"]
        return trial._replace(gained=result["verdict"] == "faster")

    def gate(self, cheat: str, *options: str) -> Trial:
        """Call ``harness gate`` of a cheating head against an honest base, with limits wider than noise."""
        (self._folder / "gate.toml").write_text(_SUITE + _keys(options))
        head = ("--head-env", f"CHEAT={cheat}", "--base-python", sys.executable, "--plugin", str(FILE))
        little = ("--turns", "10", "--budget", "200", "--quiet")
        trial = _of_text(self._call(*_HARNESS, "gate", *head, *little))
        if trial.found:
            return trial
        (benchmark,) = self._newest("gates")["benchmarks"]
        step = next(metric for metric in benchmark["metrics"] if metric["metric"] == "step")
        return trial._replace(gained=step["ratio"]["value"] < _GAIN)

    def _newest(self, folder: str) -> dict:
        return json.loads(max((self._folder / "results" / folder).glob("*.json")).read_text())


def _of_steps(options: tuple[str, ...]) -> tuple[str, ...]:
    """Return the options of a run that a duel has: all but the length."""
    pairs = zip(options[::2], options[1::2], strict=True)
    return tuple(word for pair in pairs if pair[0] != "--max-steps" for word in pair)


def _keys(options: tuple[str, ...]) -> str:
    """Return options of a run as keys of a suite."""
    lines = []
    for option, value in zip(options[::2], options[1::2], strict=True):
        if option == "--batch-size":
            lines.append(f"batch_size = {value}\n")
        elif option == "--set":
            lines.append("set = {" + value.replace("=", " = ") + "}\n")
    return "".join(lines)


def _of_text(done: subprocess.CompletedProcess[str]) -> Trial:
    """Return the result of a command by its exit code, with the line that gives the reason."""
    if done.returncode == 0:
        return Trial(found=False, words=done.stdout)
    if done.returncode not in _NOT_PASSED or "Traceback" in done.stderr:  # such as a budget that is too short
        raise RuntimeError(done.stderr)
    why = re.search(
        r"(?:The duel failed: |^mlp: (?:FAIL|INVALID|INCONCLUSIVE): )(.*)", done.stdout, re.MULTILINE
    )
    return Trial(found=True, words=why[1] if why else done.stderr or done.stdout)


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
    return Trial(found=work.get("outcome") != "verified", words=words)
