"""A training step or a prediction of a task, in the form of a step of the user's own.

So a task can be profiled, timed and gated like a step. The process of the step executes this file, with the
harness of its own side.
"""

from collections.abc import Callable, Sequence
from typing import Any

#: The factory of predictions as the target of a step.
PREDICTION = "harness.timing.engine.steps.task_step:make_prediction"


def make_step(backend: str, plan: dict[str, Any], dataset: str) -> Callable[[], list[list[float | None]]]:
    """Make a step of the program that a backend builds for a plan, whose fields are as in JSON."""
    import msgspec

    from harness.core.worker.protocol import Build, Describe, Train, Trained
    from harness.core.worker.requests import Worker
    from harness.spec.backend import Plan

    worker = Worker()
    worker.carry_out(Describe(backend, plan["threads"]))
    worker.carry_out(Build(msgspec.convert(plan, Plan), dataset))

    def step() -> list[list[float | None]]:
        trained = worker.carry_out(Train(1))
        assert isinstance(trained, Trained)  # noqa: S101  the reply that belongs to the request
        return trained.losses

    return step


def make_prediction(
    backend: str,
    task: str,
    batch_size: int = 1,
    *,
    options: Sequence[str] = (),
    dataset: str = "",
    device: str = "auto",
    precision: str = "float32",
    threads: int = 1,
    seed: int = 0,
) -> Callable[[], Any]:
    """Make a prediction of a batch of a task's test inputs by a backend, such as ``torch:compile``.

    ``options`` are assignments as for ``--set``, ``seed`` is that of the initial weights.
    """
    import msgspec

    from harness.core.plugins import registry
    from harness.core.plugins.definition import define_task
    from harness.core.plugins.options import parse_options
    from harness.core.plugins.selection import select_backend
    from harness.core.runs.request import choose_dataset
    from harness.core.worker.protocol import Build, Describe
    from harness.core.worker.requests import Worker
    from harness.spec.backend import Plan

    selection, definition = select_backend(backend), registry.task(task)
    described = define_task(definition, parse_options(definition, options))
    plan = {
        "task": described,
        "mode": selection.mode(described),
        "device": device,
        "precision": precision,
        "threads": threads,
        "seed": seed,
    }
    name = choose_dataset(definition, dataset or None, lambda *_: None).name
    worker = Worker()
    worker.carry_out(Describe(selection.backend.name, threads))
    worker.carry_out(Build(msgspec.convert(plan, Plan), name))
    predict = worker.predictor(batch_size)
    vars(predict)["samples"] = batch_size  # for samples/s
    return predict
