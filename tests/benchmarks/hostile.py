"""Trials that harm the harness: killed and interrupted commands, backends that misbehave, deleted folders.

After each trial no process of it may be alive, no stored record may be damaged, none may claim to be running
unless its harness was killed, and nothing printed may be a traceback. Run by hand; the trials are seeded.

    python tests/benchmarks/hostile.py --trials 20 [--kinds kill-run,two-signals]
"""

import collections
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from common import Place, parser

from harness.core.documents.kinds import UnreadableRecord
from harness.core.runs.store import RUNS
from harness.timing.duel.record import DUELS
from harness.timing.gate.record import GATES

RUN = ("run", "--task", "cnn", "--dataset", "digits", "--epochs", "3", "--quiet", "--no-certify")
MATRIX = (*RUN, "--backend", "faulty:ok", "--seeds", "4")
DUEL = ("duel", "paced", "paced", "--task", "mlp", "--dataset", "mnist1d", "--budget", "8s", "--no-certify")
GATE = ("gate", "--base-python", sys.executable, "--turns", "2", "--budget", "10s")
SUITE = '[benchmarks.one]\nbackend = "paced"\ntask = "mlp"\ndataset = "mnist1d"\n'
MODES = ("escape", "exit-0", "flood-output", "flood-reply", "long-error", "segfault", "surrogate", "detach")
SECONDS_TO_END = 30.0
TRACEBACK = "Traceback (most recent call last)"


class Trial(Place):
    """A command in a folder of its own, and what is wrong afterwards."""

    def __init__(self, folder: Path, chance: random.Random) -> None:
        super().__init__(folder)
        self.chance = chance
        (folder / "gate.toml").write_text(SUITE)

    def printed(self) -> str:
        """The output of all commands."""
        return self.output.read_text(errors="replace")

    def faults(self, *, killed: bool) -> list[str]:
        """What is not as it must be."""
        found = self.left(SECONDS_TO_END)
        for kind in (RUNS, DUELS, GATES):
            for record in kind.read_each(kind.paths(self.results)):
                if isinstance(record, UnreadableRecord):
                    found.append(f"damaged: {record}")
                elif record.status == "running" and not killed:
                    found.append(f"still running: {record.id}")
        if TRACEBACK in self.printed():
            found.append("a traceback was printed")
        return found


def ended(process: subprocess.Popen[bytes]) -> None:
    """Wait for the end of a command that has a reason to end."""
    try:
        process.wait(4 * SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        process.kill()
        raise


def killed(command: tuple[str, ...]) -> Callable[[Trial], bool]:
    """Kill a command at a random moment."""

    def trial(trial: Trial) -> bool:
        process = trial.start(*command)
        time.sleep(trial.chance.uniform(0.2, 8))
        process.kill()
        process.wait()
        return True

    return trial


def signalled(command: tuple[str, ...]) -> Callable[[Trial], bool]:
    """Send two or three signals, at random moments that are close to each other."""

    def trial(trial: Trial) -> bool:
        process = trial.start(*command)
        time.sleep(trial.chance.uniform(1.5, 7))
        for _ in range(trial.chance.randint(2, 3)):
            process.send_signal(trial.chance.choice([signal.SIGINT, signal.SIGTERM, signal.SIGHUP]))
            time.sleep(trial.chance.choice([0, 0, 0.0005, 0.005, 0.1, 1]))
        ended(process)
        return False

    return trial


def misbehaving(trial: Trial) -> bool:
    """Runs of backends that misbehave."""
    modes = ",".join(f"hostile:{mode}" for mode in trial.chance.sample(MODES, 3))
    ended(trial.start(*RUN, "--backend", modes, "--timeout", "60"))
    return False


def deleted(trial: Trial) -> bool:
    """Delete the results while a matrix is executed: each later run must still be recorded."""
    process = trial.start(*MATRIX)
    time.sleep(trial.chance.uniform(2, 6))
    shutil.rmtree(trial.folder / "results", ignore_errors=True)
    ended(process)
    if process.returncode:
        raise RuntimeError(f"exit code {process.returncode}")
    return False


KINDS: dict[str, Callable[[Trial], bool]] = {
    "kill-run": killed(MATRIX),
    "kill-detached": killed((*RUN, "--backend", "hostile:detach-and-hang")),
    "kill-duel": killed(DUEL),
    "kill-gate": killed(GATE),
    "signals-run": signalled(MATRIX),
    "signals-duel": signalled(DUEL),
    "signals-gate": signalled(GATE),
    "misbehaving": misbehaving,
    "deleted": deleted,
}


def main() -> None:
    """Print a line for each trial with a fault, and the counts of each kind."""
    given = parser(__doc__)
    given.add_argument("--trials", type=int, default=20, help="of each kind")
    given.add_argument("--kinds", default=",".join(KINDS))
    given.add_argument("--seconds", type=float, default=float("inf"), help="begin no trial later")
    given.add_argument("--seed", type=int, default=0)
    options = given.parse_args()
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    start = time.monotonic()
    for number in range(options.trials):
        for kind in options.kinds.split(","):
            if time.monotonic() - start > options.seconds:
                break
            chance = random.Random(f"{options.seed} {kind} {number}")  # noqa: S311  reproducible, not secret
            with tempfile.TemporaryDirectory(prefix="hostile-") as folder:
                trial = Trial(Path(folder), chance)
                try:
                    found = trial.faults(killed=KINDS[kind](trial))
                except (subprocess.TimeoutExpired, RuntimeError) as error:
                    found = [str(error)]
                output = trial.printed() if found else ""
            counts[kind]["faults" if found else "sound"] += 1
            for line in found:
                print(f"{kind} {number}: {line}", flush=True)
            if output:
                print(output[-1500:], flush=True)
    for kind, count in counts.items():
        print(f"{kind:<14} {sum(count.values()):>4} trials, {count['faults']} with faults")


if __name__ == "__main__":
    main()
