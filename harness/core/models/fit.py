"""Mistakes in a user's model or labels with which it trains, but badly."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from harness.core.models.reading import OwnModel
from harness.tracing import semantics as kinds

if TYPE_CHECKING:
    from harness.core.models.task_file import TaskData


def remarks(model: OwnModel, data: "TaskData") -> Iterator[str]:
    """Yield a remark on a model whose last operation the loss repeats."""
    if data.classes is None:
        return
    trace = model.evaluated
    last = [call.does for call in trace.calls if trace.outputs[0] in call.outputs]
    match last[-1:]:
        case [kinds.Softmax(logarithm=False)]:
            named = "a softmax"
        case [kinds.Activation(function="sigmoid")]:
            named = "a sigmoid"
        case _:
            return
    yield (
        f"{model.spec.target} ends in {named}, and the loss takes logits, to which it applies its own. "
        "Return what comes before it"
    )


def whole_numbers(targets: np.ndarray, dataset: str) -> Iterator[str]:
    """Yield that whole numbers that are stored as floats are no classes."""
    if targets.dtype.kind == "f" and (targets == np.round(targets)).all():
        yield (
            f"The targets of {dataset} are whole numbers of type {targets.dtype}, which are predicted as "
            "numbers. Store them as int64 if they are classes"
        )
