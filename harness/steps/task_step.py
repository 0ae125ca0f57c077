"""A training step of a task, in the form of a step of the user's own, so that it can be profiled as one.

The process of the step executes this file, with the harness of its own side.
"""

from collections.abc import Callable
from typing import Any


def make_step(backend: str, plan: dict[str, Any], dataset: str) -> Callable[[], list[list[float | None]]]:
    """A step of the program that a backend builds for a plan, whose fields are as in JSON."""
    import msgspec

    from harness.spec.backend import Plan
    from harness.worker.protocol import Build, Describe, Train, Trained
    from harness.worker.requests import Worker

    worker = Worker()
    worker.carry_out(Describe(backend, plan["threads"]))
    worker.carry_out(Build(msgspec.convert(plan, Plan), dataset))

    def step() -> list[list[float | None]]:
        trained = worker.carry_out(Train(1))
        assert isinstance(trained, Trained)  # noqa: S101  the reply that belongs to the request
        return trained.losses

    return step
