"""The harness's own cost in a block: the seconds it reports minus those of the backend's training.

Blocks take at least 100 ms, as in a duel of different programs. Two costs are reported: within the reported
seconds, and outside of them in each request (drawing the batches, sending the losses). Run by hand.
"""

import argparse
import statistics
import time

from harness.plugins import registry
from harness.plugins.selection import select_backend
from harness.spec.backend import Plan, Program
from harness.training.batches import BatchOrder
from harness.worker import protocol
from harness.worker.requests import Worker

BLOCK_SECONDS = 0.1


class Stopwatch(Program):
    """A backend's program whose training is timed inside the harness's clock."""

    def __init__(self, program: Program) -> None:
        self._program = program
        self.device = program.device
        self.seconds = 0.0

    def train(self, steps):
        start = time.perf_counter()
        losses = self._program.train(steps)
        self._program.synchronize()
        self.seconds = time.perf_counter() - start
        return losses

    def load(self, weights):
        self._program.load(weights)

    def weights(self):
        return self._program.weights()

    def predict(self, inputs, network="model"):
        return self._program.predict(inputs, network)

    def synchronize(self):
        self._program.synchronize()


def shares(backend: str, task_name: str, dataset: str, blocks: int) -> tuple[float, float]:
    """Medians over blocks: the harness's share of the reported seconds, and its share outside of them."""
    selection = select_backend(backend)
    definition = registry.task(task_name)
    task = definition.define(definition.options())
    plugin, mode = selection.backend, selection.mode(task)
    kind, watches = type(plugin), []
    build = kind.build

    def watched(backend, plan, data):
        watches.append(Stopwatch(build(backend, plan, data)))
        return watches[-1]

    kind.build = watched  # a worker makes its own backend
    worker = Worker()
    worker.carry_out(protocol.Describe(plugin.name, 1))
    plan = Plan(task=task, mode=mode, device="cpu", threads=1, seed=0)
    built = worker.carry_out(protocol.Build(plan, dataset))
    order, step = BatchOrder.of_task(task, built.samples["train"], 0), 0
    within, outside = [], []
    while len(within) < blocks:
        reported = inner = other = 0.0
        while reported < BLOCK_SECONDS:
            count = order.run_length(step)
            start = time.perf_counter()
            trained = worker.carry_out(protocol.Train(count))
            other += time.perf_counter() - start - trained.seconds
            reported += trained.seconds
            inner += watches[0].seconds
            step += count
        within.append((reported - inner) / reported)
        outside.append(other / reported)
    kind.build = build
    return statistics.median(within[1:]), statistics.median(outside[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--backend", default="torch")
    parser.add_argument("--task", nargs="+", default=["mlp", "cnn", "rnn", "forecast", "gan"])
    parser.add_argument("--blocks", type=int, default=21)
    arguments = parser.parse_args()
    for task in arguments.task:
        dataset = "digits" if task in {"cnn", "gan"} else registry.task(task).datasets[0]
        within, outside = shares(arguments.backend, task, dataset, arguments.blocks)
        print(
            f"{arguments.backend}, {task} on {dataset}: {within:.3%} within the reported time, "
            f"{outside:.3%} outside of it"
        )


if __name__ == "__main__":
    main()
