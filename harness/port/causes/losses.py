"""The form of a loss, read from its gradient with respect to the outputs, independent of code and model.

A cross-entropy is linear in the distribution of the targets. So the gradient of each sample is a factor times
a mixture of two known gradients, one for the target's class and one for the uniform distribution; the mixture
is the label smoothing.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy import special

from harness.port.cause_kinds import text
from harness.port.record import Cause
from harness.port.values import difference
from harness.tracing.side import Gradients

_EXACT = 1e-8
_DIGITS = 6
_Link = Callable[[np.ndarray, np.ndarray], np.ndarray]


def _of_softmax_twice(outputs: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    once = special.softmax(outputs, axis=-1)
    slope = special.softmax(once, axis=-1) - wanted
    made: np.ndarray = once * (slope - (once * slope).sum(axis=-1, keepdims=True))
    return made


def _of_probabilities(outputs: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        total = wanted.sum(axis=-1, keepdims=True) / outputs.sum(axis=-1, keepdims=True)
        made: np.ndarray = total - wanted / outputs
        return made


_LINKS: dict[str, _Link] = {
    "cross-entropy of logits": lambda outputs, wanted: special.softmax(outputs, axis=-1) - wanted,
    "cross-entropy of a second softmax": _of_softmax_twice,
    "cross-entropy of probabilities": _of_probabilities,
    "cross-entropy of logarithms": lambda _, wanted: -wanted,
}


class Form(NamedTuple):
    """A loss as a formula: its name, a factor for each sample, and the share of the uniform distribution."""

    name: str
    factors: np.ndarray
    smoothing: float
    residual: float

    @property
    def counts(self) -> np.ndarray:
        """A mask of the samples that count."""
        sizes = np.abs(self.factors)
        return np.asarray(sizes > _EXACT * sizes.max())


def form_of(made: Gradients, targets: np.ndarray) -> Form | None:
    """Find the known form of a loss with the gradient ``made``; None if there is none."""
    outputs, gradient = (np.asarray(each, np.float64) for each in (made.output, made.of_output))
    if not np.isfinite(gradient).all() or not gradient.any():
        return None
    forms = list(_cross_entropies(outputs, targets, gradient) if targets.dtype.kind in "iu" else ())
    forms += _errors(outputs, np.asarray(targets, np.float64), gradient)
    best = min(forms, key=lambda form: form.residual, default=None)
    return best if best is not None and best.residual <= _EXACT else None


def _cross_entropies(outputs: np.ndarray, targets: np.ndarray, gradient: np.ndarray) -> Iterator[Form]:
    classes = outputs.shape[-1]
    if outputs.shape[:-1] != targets.shape or classes < 2:  # noqa: PLR2004
        return
    rows, slopes = outputs.reshape(-1, classes), gradient.reshape(-1, classes)
    hard = np.eye(classes)[targets.reshape(-1)]
    for name, link in _LINKS.items():
        one, uniform = link(rows, hard), link(rows, np.full_like(hard, 1 / classes))
        if not (np.isfinite(one).all() and np.isfinite(uniform).all()):
            continue
        # Two unknowns for each row, by the normal equations.
        a, b, c = (one * one).sum(-1), (one * uniform).sum(-1), (uniform * uniform).sum(-1)
        x, y = (one * slopes).sum(-1), (uniform * slopes).sum(-1)
        determinant = np.maximum(a * c - b * b, np.finfo(float).tiny)
        of_hard, of_uniform = (c * x - b * y) / determinant, (a * y - b * x) / determinant
        factors = of_hard + of_uniform
        total = float(factors.sum())
        smoothing = float(of_uniform.sum()) / total if total else 0.0
        # One smoothing for all samples.
        mixed = (1 - smoothing) * one + smoothing * uniform
        made = factors[:, None] * mixed
        yield Form(name, factors, round(smoothing, _DIGITS) + 0.0, difference(made, slopes))


def _errors(outputs: np.ndarray, targets: np.ndarray, gradient: np.ndarray) -> Iterator[Form]:
    if outputs.shape != targets.shape:
        return
    gap = outputs - targets
    shapes = {"squared error": 2 * gap, "absolute error": np.sign(gap), "Huber loss": np.clip(gap, -1, 1)}
    for name, slope in shapes.items():
        factor = float((slope * gradient).sum() / (slope * slope).sum())
        yield Form(name, np.array([factor]), 0.0, difference(factor * slope, gradient))


def loss_causes(a: Gradients, b: Gradients, targets: np.ndarray) -> list[Cause]:
    """Find the differences of two losses of the same ``targets``; the outputs of the models may differ."""
    one, other = form_of(a, targets), form_of(b, targets)
    same_outputs = np.shape(a.output) == np.shape(b.output) and difference(b.output, a.output) < _EXACT
    gap = difference(np.asarray(b.of_output), np.asarray(a.of_output)) if same_outputs else None
    if gap is not None and gap < _EXACT:
        return []
    if one is None or other is None:
        names = ["unknown" if form is None else form.name for form in (one, other)]
        return [] if gap is None else [_cause("loss", names[0], names[1], gap)]
    left_out = _left_out(one, targets), _left_out(other, targets)
    alone = left_out[0] == left_out[1]
    rows = [
        ("loss", one.name, other.name),
        ("label smoothing", text(one.smoothing), text(other.smoothing)),
        ("ignored labels", _listed(left_out[0]), _listed(left_out[1])),
        ("loss", _reduction(one, targets, alone=alone), _reduction(other, targets, alone=alone)),
    ]
    found = [row for row in rows if row[1] != row[2]]
    if not found and gap is not None:
        found = [("loss", one.name, "other weights of the samples")]
    residual = max(one.residual, other.residual)
    return [_cause(kind, own, theirs, gap, residual) for kind, own, theirs in found]


def _listed(labels: list[int]) -> str:
    return ", ".join(map(str, labels)) or "none"


def _left_out(form: Form, targets: np.ndarray) -> list[int]:
    """List the labels whose samples do not count."""
    labels = targets.reshape(-1)
    if len(form.factors) != labels.size:
        return []
    return sorted({*labels[~form.counts].tolist()} - {*labels[form.counts].tolist()})


def _reduction(form: Form, targets: np.ndarray, *, alone: bool) -> str:
    """Name the reduction over the samples; ``alone`` if the two losses leave out the same labels."""
    factors = form.factors[form.counts]
    if np.ptp(factors) > _EXACT * np.abs(factors).max():
        return "weights of the classes"
    names = {1: "summed", len(targets): "averaged over the batch", targets.size: "averaged"}
    if len(factors) not in names:
        names[len(factors)] = "averaged over what counts" if alone else "averaged"
    divisor = 1 / float(factors[0])
    name = names.get(round(divisor))
    return name if name and abs(divisor / round(divisor) - 1) < _EXACT else f"times {1 / divisor:.6g}"


def _cause(kind: str, a: str, b: str, before: float | None, after: float | None = None) -> Cause:
    known = before is not None and np.isfinite(before)
    return Cause.at(kind, "loss", "loss", a, b, before, after if known else None, "gradients")
