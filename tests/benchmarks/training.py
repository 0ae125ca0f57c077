"""What training through the harness costs against a hand-written loop of the same framework and mode.

Both sides are processes in the same environment, on the same data, weights and batches. They take
turns (ABBA) in blocks of ``--steps``; the unit of inference is the pair of fresh processes, for the
steps of one process share its luck. ``model.fit`` is called once a block by hand and once every two
seconds by the harness, so give Keras whole epochs (703 steps of CIFAR-10). Run by hand.
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
        self.step = 0
        self._step_seconds = 0.0

    def train(self, first: int, count: int) -> float:
        """Seconds of ``count`` steps; the worker keeps the place, so ``first`` must be where it stands."""
        assert first == self.step
        total = 0.0
        while self.step < first + count:
            steps = min(block_steps(self.order, self.step, self._step_seconds), first + count - self.step)
            seconds = self.session.call(protocol.Train(steps), protocol.Trained).seconds
            self._step_seconds = seconds / steps if self.step else 0.0
            self.step += steps
            total += seconds
        return total

    def finish_epoch(self) -> None:
        """The rest of the epoch, its short last batch included: made, not counted."""
        while self.step % self.order.steps_per_epoch:
            rest = self.order.run_length(self.step)
            self.session.call(protocol.Train(rest), protocol.Trained)
            self.step += rest


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


def pair_log_ratio(
    backend: str, mode: str, dataset: str, steps: int | None, turns: int
) -> tuple[float, float]:
    """Log ratio harness / hand of one fresh pair, and the hand-written step in seconds."""
    threads = default_threads()
    settings = worker_settings(threads, "cpu", os.environ)
    ours = HarnessSide(backend, mode, dataset, threads, settings)
    hand = HandSide(backend, mode, dataset, str(threads), settings=settings)
    with ours.session:
        steps = min(steps or ours.order.full_steps, ours.order.full_steps)
        ratios, hand_seconds = [], []
        for turn in range(turns + 1):
            if ours.order.run_length(ours.step) < steps:
                ours.finish_epoch()
            first = ours.step
            sides = (ours, hand) if turn % 2 else (hand, ours)
            seconds = {side: side.train(first, steps) for side in sides}
            if turn:  # the first block warms both up
                ratios.append(math.log(seconds[ours] / seconds[hand]))
                hand_seconds.append(seconds[hand] / steps)
    hand.process.stdin.close()
    hand.process.wait()
    return statistics.fmean(ratios), statistics.median(hand_seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", default="torch")
    parser.add_argument("--dataset", default="cifar10")
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--steps", type=int, help="steps of a block; default: a whole epoch")
    parser.add_argument("--turns", type=int, default=2, help="blocks a side and pair, after one to warm up")
    arguments = parser.parse_args()
    backend, mode = select_backend(arguments.backend)
    logs = []
    for pair in range(1, arguments.pairs + 1):
        log, step = pair_log_ratio(backend.name, mode, arguments.dataset, arguments.steps, arguments.turns)
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
