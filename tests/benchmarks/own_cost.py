"""The harness's own cost in a block: the seconds it reports minus those of the backend's training.

Blocks take at least 100 ms, as in a duel of different programs. Two costs are reported: within the reported
seconds, and outside of them in each request (drawing the batches, sending the losses). Run by hand.
"""

import statistics
import time

from common import parser

from harness.core.plugins import registry
from harness.core.plugins.selection import select_backend
from harness.core.training.batches import BatchOrder
from harness.core.worker import protocol
from harness.core.worker.requests import Worker
from harness.spec.backend import Plan

BLOCK_SECONDS = 0.1


def shares(backend: str, task_name: str, dataset: str, blocks: int) -> tuple[float, float]:
    """Medians over blocks: the harness's share of the reported seconds, and its share outside of them."""
    selection = select_backend(backend)
    definition = registry.task(task_name)
    task = definition.define(definition.options())
    plugin, mode = selection.backend, selection.mode(task)
    kind, seconds = type(plugin), [0.0]
    build = kind.build

    def watched(backend, plan, data):
        program = build(backend, plan, data)
        train = program.train

        def timed(steps):
            start = time.perf_counter()
            losses = train(steps)
            program.synchronize()
            seconds[:] = [time.perf_counter() - start]
            return losses

        program.train = timed
        return program

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
            inner += seconds[0]
            step += count
        within.append((reported - inner) / reported)
        outside.append(other / reported)
    kind.build = build
    return statistics.median(within[1:]), statistics.median(outside[1:])


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--backend", default="torch")
    options.add_argument("--task", nargs="+", default=["mlp", "cnn", "rnn", "forecast", "gan"])
    options.add_argument("--blocks", type=int, default=21)
    arguments = options.parse_args()
    for task in arguments.task:
        dataset = "digits" if task in {"cnn", "gan"} else registry.task(task).datasets[0]
        within, outside = shares(arguments.backend, task, dataset, arguments.blocks)
        print(
            f"{arguments.backend}, {task} on {dataset}: {within:.3%} within the reported time, "
            f"{outside:.3%} outside of it"
        )


if __name__ == "__main__":
    main()
