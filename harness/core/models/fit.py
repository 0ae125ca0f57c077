"""Whether a user's model fits the data that it is trained on: its outputs, and what comes before the loss."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from harness.core.models.reading import OwnModel
from harness.errors import UsageError
from harness.tracing import semantics as kinds

if TYPE_CHECKING:
    from harness.core.models.task_file import TaskData


def require_fit(model: OwnModel, data: "TaskData") -> None:
    """Check the output of a model for the samples on which it was evaluated.

    Raises:
        UsageError: it has no batch axis, or no output for each class.
    """
    trace = model.evaluated
    batch, shape = (trace.values[place].array.shape for place in (trace.inputs[0], trace.outputs[0]))
    returns = f"{model.spec.target} returns an output of shape {_text(shape)}"
    wanted = f"({batch[0]}, {data.classes or 'outputs'})"
    if not shape or shape[0] != batch[0]:
        raise UsageError(f"{returns} for {batch[0]} samples; expected a row for each sample, {wanted}")
    outputs = shape[-1] if len(shape) > 1 else 0
    # A single output is the logit of the second of two classes.
    if data.classes is not None and outputs < data.classes and (outputs, data.classes) != (1, 2):
        raise UsageError(
            f"{returns}, and {data.dataset} has {data.classes} classes; expected an output for each class, "
            f"{wanted}"
        )


def remarks(model: OwnModel, data: "TaskData") -> Iterator[str]:
    """Yield what hinders the training of a model that fits."""
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


def _text(shape: tuple[int, ...]) -> str:
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"
