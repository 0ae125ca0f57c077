"""The samples of a training, and what it takes to repeat them."""

from typing import NamedTuple

from harness.spec.backend import Plan
from harness.training.batches import BatchOrder
from harness.training.measures import Scores
from harness.worker.work_sampler import WorkSampler


class SampledWork(NamedTuple):
    """What was sampled of which training."""

    sampler: WorkSampler
    backend: str
    plan: Plan
    dataset: str
    order: BatchOrder
    certified: bool
    """Whether it counts as that of the reference, so that the harness's own program must do the same."""
    scores: Scores | None = None
    """The reported scores of the test data, where the weights were saved at the end and scoring is cheap."""
