"""Studies of the user's own models: what is asked of each model's task, and the study of its variants."""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from harness.core.runs.matrix import OwnTask
from harness.errors import UsageError
from harness.spec.study import QuickForm, StudyKind, StudyVariant

#: The study of the user's own variants, which are the values of arguments and of parts of the training.
VARIANTS = "variants"


class Asked(Protocol):
    """The options of a study that :func:`of_task` reads."""

    @property
    def kind(self) -> str: ...
    @property
    def own(self) -> Mapping[str, OwnTask]: ...
    @property
    def backends(self) -> list[str]: ...
    @property
    def assignments(self) -> Sequence[str]: ...


def of_task(given: Asked, task: str) -> dict[str, Any]:
    """Return the options of a study that one of its tasks changes: its backends and its assignments."""
    own = given.own.get(task)
    if own is None:
        if not given.backends:
            raise UsageError("--backend is missing. Name at least one.")
        return {}
    assignments = own.assignments
    if given.kind == VARIANTS:
        axes = _axes(assignments)
        assignments = [f"{name}={texts[0]}" for name, texts in axes.items() if len(texts) == 1]
    elif several := [name for name, texts in _axes(assignments).items() if len(texts) > 1]:
        raise UsageError(
            f"study {given.kind} has variants of its own: give {several[0]} one value, or compare its "
            f"values by: harness study {VARIANTS}"
        )
    return {"backends": own.backends, "assignments": (*given.assignments, *assignments)}


def variants_kind(own: Mapping[str, OwnTask]) -> StudyKind:
    """Return the kind of study that compares the variants of the user's own model."""
    if len(own) != 1:
        raise UsageError(
            f"study {VARIANTS} takes one --model; several are compared by: harness run --model A --model B"
            if own
            else f"study {VARIANTS} compares the variants of your own model: give --model and --dataset"
        )
    ((task, asked),) = own.items()
    axes = {name: texts for name, texts in _axes(asked.assignments).items() if len(texts) > 1}
    if not axes:
        raise UsageError(
            f"study {VARIANTS} compares values: give several, such as --set-model width=64,128,256"
        )
    combinations = itertools.product(*([f"{name}={text}" for text in texts] for name, texts in axes.items()))
    return StudyKind(
        name=VARIANTS,
        question="Which variant of the model is best, and at what cost?",
        summary="the values of arguments of your own model: score, parameters, time and memory",
        noun="variant",
        tasks=(task,),
        variants=tuple(StudyVariant(" ".join(chosen), chosen) for chosen in combinations),
        quantities=("score", "gap", "parameters", "time", "memory"),
        sections=("effects", "costs", "ranking", "variants"),
        title="Variants of a model",
        meaning=(
            "Every variant is trained on the same data with the same seeds, and compared with the first.",
            "A verdict says whether the test score is better, worse or as good. The costs stand beside it.",
        ),
        quick=QuickForm(),
    )


def _axes(assignments: Sequence[str]) -> dict[str, list[str]]:
    """Return the values of each option, as texts."""
    axes: dict[str, list[str]] = {}
    for assignment in assignments:
        name, _, text = assignment.partition("=")
        axes.setdefault(name, []).append(text)
    return axes
