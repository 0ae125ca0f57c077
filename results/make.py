"""Make the records of ``results/comparison``: ``python results/make.py``, from the repository's folder.

Needs ``pip install -e ".[all]"`` in ``.venv`` and, for CIFAR-10 and tinyshakespeare, ``harness data fetch``.
Each step is one command, whose output is kept as ``results/comparison/output/STEP.txt``. A step with such a
file is not made again, so the script can be interrupted and repeated. Times come from the duels alone, so
that the other steps may use every CPU. At the end records are reduced to what ``results/README.md`` needs.
"""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from harness.core.machine.checksums import with_checksum

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "results/comparison"
OUTPUT = FOLDER / "output"
#: The hundreds of runs of the studies, which are not kept, and would be further seeds of the comparison.
STUDIES_FOLDER = ROOT / "results/comparison-studies"
BACKENDS = "torch,keras,jax"
#: Whole trainings where they take seconds. Each of the others ends after so many steps.
TASKS = {
    "mlp": "",
    "tabular": "",
    "forecast": "",
    "rnn": "--epochs 40",
    "cnn": "--epochs 2 --eval-samples 2000",
    "lm": "--max-steps 250 --eval-samples 1000",
    "gan": "--max-steps 150",
    "resnet": "--max-steps 80 --eval-samples 1000",
}
SEEDS = 5
STUDIES = ("optimizers", "losses", "overfitting", "data", "imbalance", "privacy", "federated")
FAULTS = {"nothing": 0, "slower": 1, "memory": 1, "value": 1}
MODELS = "tests/port/models"
TOKENS = "--input 12 --dtype int --max 17"
PLANTED = """--set-b "faults=('epsilon', 'attention scale')" """
PORTS = {
    "cnn": ("cnn_torch.py:make", "cnn_keras.py:make", "--input 16,16,3", 0),
    "transformer": ("transformer_torch.py:make", "transformer_keras.py:make", TOKENS, 0),
    "faults": ("transformer_torch.py:make", "transformer_keras.py:make", f"{TOKENS} {PLANTED}", 1),
}

#: Fields of a run that the page does not need.
LEFT_OUT = {
    "blocks",
    "extensions",
    "first_losses",
    "losses",
    "outcomes",
    "pictures",
    "test_samples_at_best",
    "test_samples_at_last",
}


class Step(NamedTuple):
    """A command, the name of its output, and the exit code that it has where all is well."""

    name: str
    command: str
    exit_code: int = 0


def steps() -> Iterator[Step]:
    """Every step, those with judged times last: the machine should be quiet then."""
    for task, options in TASKS.items():
        seeds = f"--seeds {SEEDS} --threads 1 --jobs 2"
        yield Step(f"run-{task}", f"run --backend {BACKENDS} --task {task} {seeds} {options}".rstrip())
    for kind in STUDIES:
        yield Step(f"study-{kind}", f"study {kind} --backend torch --quick")
    for name, (a, b, options, code) in PORTS.items():
        yield Step(f"port-{name}", f"port {MODELS}/{a} {MODELS}/{b} {options}", code)
    for fault, code in FAULTS.items():
        suite = "--suite results/planted/gate.toml --base-python .venv/bin/python"
        yield Step(f"gate-{fault}", f"gate {suite} --head-env PLANTED={fault}", code)
    for task in TASKS:
        yield Step(f"duel-{task}", f"duel {BACKENDS.replace(',', ' ')} --task {task} --threads 1 --budget 8m")


def make(step: Step) -> bool:
    """Run the command of *step* unless its output is there, and return whether it ended as expected."""
    path = OUTPUT / f"{step.name}.txt"
    if path.exists():
        return True
    results = STUDIES_FOLDER if step.name.startswith("study-") else FOLDER
    command = ["harness", *shlex.split(step.command), "--results", str(results.relative_to(ROOT))]
    print(shlex.join(command), flush=True)
    program = ROOT / ".venv/bin" / command[0]
    done = subprocess.run([program, *command[1:]], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != step.exit_code:
        print(f"{step.name}: exit code {done.returncode} in place of {step.exit_code}\n{done.stdout}")
        return False
    path.write_text(f"$ {shlex.join(command)}\n{done.stdout}")
    return True


def reduce(path: Path) -> None:
    """Leave out what the page does not need; of the epochs of a run, keep the best and the last."""
    record = msgspec.json.decode(path.read_bytes())
    del record["checksum"]
    if path.parent.name == "runs":
        record = {name: value for name, value in record.items() if name not in LEFT_OUT}
        kept = {record["best_epoch"], len(record["epochs"])}
        record["epochs"] = [epoch for epoch in record["epochs"] if epoch["epoch"] in kept]
    for benchmark in record.get("benchmarks", []):
        benchmark["profiles"] = None
    for pair in record.get("pairs", []):
        for process in pair["processes"]:
            process["first_losses"] = []
    path.write_bytes(with_checksum(msgspec.json.encode(record)))


def main() -> None:
    """Make all steps, reduce their records, and end with an error if a step failed."""
    OUTPUT.mkdir(parents=True, exist_ok=True)
    if failed := [step.name for step in steps() if not make(step)]:
        sys.exit(f"failed: {', '.join(failed)}; repeat the script to try again")
    for path in FOLDER.glob("*/*.json"):
        reduce(path)
    for path in (FOLDER / "runs").iterdir():
        if path.suffix != ".json":
            path.unlink()


if __name__ == "__main__":
    main()
