"""What training through the harness costs against a hand-written loop of the same framework and mode.

Both sides are processes in the same environment, on the same data, weights and batches. They take
turns (ABBA) over whole epochs of full batches; the unit of inference is the pair of fresh processes,
for the steps of one process share its luck. Run by hand: ``training.py --backend torch:eager``.
"""

import argparse
import math
import os
import statistics
import subprocess
import sys
from pathlib import Path

from harness import plugins, protocol
from harness.batches import BatchOrder
from harness.blocks import block_steps
from harness.installation import select_backend
from harness.machine import default_threads
from harness.process_environment import worker_settings
from harness.session import Session
from harness.spec import Plan

SIDE = Path(__file__).parent / "hand_written" / "side.py"


class HarnessSide:
    """Trains through a worker, in the blocks that ``harness run`` makes."""

    def __init__(self, backend: str, mode: str, dataset: str, threads: int, settings: dict[str, str]) -> None:
        definition = plugins.task("cnn")
        task = definition.define(definition.options())
        plan = Plan(task=task, mode=mode, device="cpu", threads=threads, seed=0)
        self.session = Session(settings)
        self.session.call(protocol.Describe(backend, threads), protocol.Described)
        built = self.session.call(protocol.Build(plan, dataset), protocol.Built)
        self.order = BatchOrder(built.samples["train"], task.batch_size, 0)
        self._step = 0
        self._step_seconds = 0.0

    def train(self, first: int, count: int) -> float:
        """Seconds of ``count`` steps; the worker keeps the place, so ``first`` must be where it stands."""
        assert first == self._step
        total = 0.0
        while self._step < first + count:
            steps = min(block_steps(self.order, self._step, self._step_seconds), first + count - self._step)
            seconds = self.session.call(protocol.Train(steps), protocol.Trained).seconds
            self._step_seconds = seconds / steps if self._step else 0.0
            self._step += steps
            total += seconds
        return total

    def skip_short_batch(self) -> None:
        """The short last batch of an epoch: made, not counted."""
        while self._step % self.order.steps_per_epoch:
            self.session.call(protocol.Train(1), protocol.Trained)
            self._step += 1


class HandSide:
    """The hand-written loop, told the same steps."""

    def __init__(self, *arguments: str, settings: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(SIDE), *arguments],
            env={**os.environ, **settings},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        while (line := self.process.stdout.readline()) != "ready\n":
            if not line:
                raise SystemExit("the hand-written side did not start")

    def train(self, first: int, count: int) -> float:
        self.process.stdin.write(f"{first} {count}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline())


def pair_log_ratio(backend: str, mode: str, dataset: str, turns: int) -> tuple[float, float]:
    """Log ratio harness / hand of one fresh pair, and the hand-written step in seconds."""
    threads = default_threads()
    settings = worker_settings(threads, "cpu", os.environ)
    ours = HarnessSide(backend, mode, dataset, threads, settings)
    hand = HandSide(backend, mode, dataset, str(threads), settings=settings)
    with ours.session:
        steps, epoch_steps = ours.order.full_steps, ours.order.steps_per_epoch
        ratios, hand_seconds = [], []
        for turn in range(turns + 1):
            sides = (ours, hand) if turn % 2 else (hand, ours)
            seconds = {side: side.train(turn * epoch_steps, steps) for side in sides}
            ours.skip_short_batch()
            if turn:  # the first epoch warms both up
                ratios.append(math.log(seconds[ours] / seconds[hand]))
                hand_seconds.append(seconds[hand] / steps)
    hand.process.stdin.close()
    hand.process.wait()
    return statistics.fmean(ratios), statistics.median(hand_seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", default="torch")
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--turns", type=int, default=2, help="epochs a side, after one to warm up")
    arguments = parser.parse_args()
    backend, mode = select_backend(arguments.backend)
    logs = []
    for pair in range(1, arguments.pairs + 1):
        log, step = pair_log_ratio(backend.name, mode, arguments.dataset, arguments.turns)
        logs.append(log)
        print(
            f"pair {pair}: harness / hand-written {math.exp(log):.4f}, hand-written step {step * 1e3:.2f} ms"
        )
    spread = statistics.stdev(logs) if len(logs) > 1 else math.nan
    print(
        f"{backend.name}:{mode} on {arguments.dataset}: ratio {math.exp(statistics.fmean(logs)):.4f} "
        f"(geometric mean of {len(logs)} pairs, {math.exp(min(logs)):.4f} to {math.exp(max(logs)):.4f}, "
        f"SD of the log ratio {spread:.4f})"
    )


if __name__ == "__main__":
    main()
