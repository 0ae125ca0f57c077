"""Gates of a training step of one's own, in a plain PyTorch repository: verdicts and durations.

A repository with its own loss, AdamW and loader is made in a temporary folder, committed, and changed.
Trials of all changes alternate: nothing; 5 %, 15 % and 100 % more time in each step; a tenfold weight decay;
and half of the time with ``--expect-faster 10%``. Each trial is a line of JSON in the given file. Run by hand
on an otherwise idle machine. ``--cost`` prints instead what a block adds to the same loop by hand, in CPU
time.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tabulate import tabulate

TRAIN = """
import time
import torch
from torch import nn

WEIGHT_DECAY, EXTRA = {decay}, {extra}

class Net(nn.Module):
    def __init__(self, width=256):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(64, width), nn.GELU(), nn.Linear(width, width), nn.GELU(),
                                  nn.Linear(width, 10))
    def forward(self, inputs):
        return self.body(inputs)

def loss_of(logits, targets):
    return nn.functional.cross_entropy(logits, targets, label_smoothing=0.1) + 1e-4 * logits.square().mean()

def loader(batch_size):
    data = torch.randn(2048, 64)
    targets = data[:, :10].argmax(1)
    while True:
        for at in range(0, len(data) - batch_size + 1, batch_size):
            start = time.process_time()  # which stands still while the process is stopped between blocks
            yield data[at : at + batch_size], targets[at : at + batch_size]
            until = (now := time.process_time()) + EXTRA * (now - start)
            while time.process_time() < until:
                pass
"""
BENCH = """
import torch
import train

def make_step(batch_size=64):
    model = train.Net()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=train.WEIGHT_DECAY)
    batches = train.loader(batch_size)
    def step():
        inputs, targets = next(batches)
        loss = train.loss_of(model(inputs), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss
    return step
"""
SUITE = '[benchmarks.train]\nstep = "bench.py:make_step"\nsamples = 64\nthreads = 1\n'
#: Weight decay, extra time of base, extra time of head, options.
CHANGES = {
    "nothing": (0.01, 0.0, 0.0, []),
    "+5 %": (0.01, 0.0, 0.05, []),
    "+15 %": (0.01, 0.0, 0.15, []),
    "+100 %": (0.01, 0.0, 1.0, []),
    "decay × 10": (0.1, 0.0, 0.0, []),
    "claimed −10 %": (0.01, 1.0, 0.0, ["--expect-faster", "10%"]),
}


def trial(change: str) -> dict:
    decay, before, after, options = CHANGES[change]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "bench.py").write_text(BENCH)
        (folder / "gate.toml").write_text(SUITE)
        (folder / "train.py").write_text(TRAIN.format(decay=0.01, extra=before))
        git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
        for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "base"]):
            subprocess.run([*git, *words], cwd=folder, check=True)
        (folder / "train.py").write_text(TRAIN.format(decay=decay, extra=after))
        command = [sys.executable, "-m", "harness", "gate", "--base", "HEAD", "--format", "json", "--quiet"]
        start = time.monotonic()
        done = subprocess.run([*command, *options], cwd=folder, capture_output=True, text=True, check=False)
        seconds = time.monotonic() - start
    made = {"change": change, "exit": done.returncode, "seconds": seconds, "load": os.getloadavg()[0]}
    if not done.stdout:
        return {**made, "verdict": done.stderr.strip()[-200:]}
    (benchmark,) = json.loads(done.stdout)["benchmarks"]
    step = next((each for each in benchmark["metrics"] if each["metric"] == "step"), {})
    pairs = len(benchmark["look"]) + len(benchmark["confirmation"])
    return {**made, "verdict": benchmark["verdict"], "pairs": pairs, "ratio": step.get("ratio")}


def cost() -> str:
    """CPU time of a block of calls, over that of the same loop by hand."""
    from harness.timing.engine.steps.program import Step

    numbers = list(range(2000))
    step = Step.__new__(Step)
    by_hand = step._step = lambda: sum(numbers)
    step._synchronize = lambda _value: None
    step.calls = 0
    ratios = []
    for _ in range(200):
        start = time.process_time()
        step.block(500)
        middle = time.process_time()
        for _ in range(500):
            by_hand()
        ratios.append((middle - start) / (time.process_time() - middle))
    return f"a block of 500 calls of about 10 µs takes {100 * (statistics.median(ratios) - 1):+.2f} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("file", type=Path, nargs="?", help="JSON lines, appended to")
    parser.add_argument("--trials", type=int, default=10, help="of each change (default: 10)")
    parser.add_argument("--only", choices=CHANGES, action="append", help="only this change; repeatable")
    parser.add_argument("--cost", action="store_true", help="print the cost of a block alone")
    arguments = parser.parse_args()
    if arguments.cost:
        print(cost())
        return
    made = []
    for _ in range(arguments.trials):
        for change in arguments.only or CHANGES:
            made.append(trial(change))
            print(json.dumps(made[-1]), flush=True)
            if arguments.file:
                with arguments.file.open("a") as lines:
                    lines.write(json.dumps(made[-1]) + "\n")
    rows = []
    for change in dict.fromkeys(each["change"] for each in made):
        own = [each for each in made if each["change"] == change]
        verdicts = [each["verdict"] for each in own]
        counts = ", ".join(f"{verdicts.count(word)} {word}" for word in dict.fromkeys(verdicts))
        seconds = [each["seconds"] for each in own]
        pairs = statistics.median(each.get("pairs", 0) for each in own)
        rows.append((change, counts, f"{statistics.median(seconds):.0f}", f"{max(seconds):.0f}", pairs))
    print(tabulate(rows, ("change", "verdicts", "seconds: median", "largest", "pairs"), tablefmt="github"))


if __name__ == "__main__":
    main()
