"""Losses are read from their gradients: what they are of, smoothing, labels left out, and the reduction."""

import numpy as np
import pytest
from scipy import special

from harness.port.causes.losses import form_of, loss_causes
from harness.tracing.side import Gradients

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(4, 6, 5))
LABELS = RNG.integers(0, 5, (4, 6))


def gradient(*, smoothing=0.0, ignored=(), weights=None, reduction="mean", outputs=LOGITS):
    """Of the cross-entropy of logits, by its definition."""
    wanted = (1 - smoothing) * np.eye(5)[LABELS] + smoothing / 5
    factors = (~np.isin(LABELS, ignored)).astype(float)
    if weights is not None:
        factors *= np.array(weights)[LABELS]
    divisor = {"mean": factors.sum(), "sum": 1.0, "all": LABELS.size, "batch": len(LABELS)}[reduction]
    made = factors[..., None] / divisor * (special.softmax(outputs, axis=-1) - wanted)
    return Gradients(0.0, {}, [], outputs, made)


def named(a, b, targets=LABELS):
    return [(cause.kind, cause.a, cause.b) for cause in loss_causes(a, b, targets)]


@pytest.mark.parametrize(
    ("other", "cause"),
    [
        ({"smoothing": 0.1}, ("label smoothing", "0", "0.1")),
        ({"ignored": (2,)}, ("ignored labels", "none", "2")),
        ({"reduction": "sum"}, ("loss", "averaged", "summed")),
        ({"reduction": "batch"}, ("loss", "averaged", "averaged over the batch")),
        ({"weights": (1, 2, 3, 4, 5)}, ("loss", "averaged", "weights of the classes")),
    ],
)
def test_an_option_of_the_loss_is_named(other, cause):
    assert named(gradient(), gradient(**other)) == [cause]
    kind, a, b = cause
    assert named(gradient(**other), gradient()) == [(kind, b, a)]


def test_several_options_are_named_together():
    found = named(gradient(), gradient(smoothing=0.2, ignored=(0, 4), reduction="sum"))
    assert found == [
        ("label smoothing", "0", "0.2"),
        ("ignored labels", "none", "0, 4"),
        ("loss", "averaged", "summed"),
    ]


def test_a_mean_over_what_counts_is_another_one_than_over_all():
    found = named(gradient(ignored=(1,)), gradient(ignored=(1,), reduction="all"))
    assert found == [("loss", "averaged over what counts", "averaged")]


def test_options_are_named_where_outputs_differ_too():
    found = named(gradient(), gradient(smoothing=0.1, outputs=LOGITS + 1e-3 * RNG.normal(size=LOGITS.shape)))
    assert found == [("label smoothing", "0", "0.1")]


def test_equal_losses_have_no_cause_however_outputs_differ():
    assert named(gradient(), gradient()) == []
    assert named(gradient(), gradient(outputs=LOGITS * 2)) == []


def test_a_softmax_that_is_applied_twice_is_named():
    once = special.softmax(LOGITS, axis=-1)
    slope = (special.softmax(once, axis=-1) - np.eye(5)[LABELS]) / LABELS.size
    made = once * (slope - (once * slope).sum(-1, keepdims=True))
    found = named(gradient(), Gradients(0.0, {}, [], LOGITS, made))
    assert found == [("loss", "cross-entropy of logits", "cross-entropy of a second softmax")]


def test_probabilities_are_no_logits():
    outputs = special.softmax(LOGITS, axis=-1)
    hard = np.eye(5)[LABELS]
    form = form_of(Gradients(0.0, {}, [], outputs, (1 - hard / outputs) / LABELS.size), LABELS)
    assert form.name == "cross-entropy of probabilities"


def test_errors_of_numbers_are_told_apart():
    outputs, targets = RNG.normal(size=(4, 3)), RNG.normal(size=(4, 3))
    squared, absolute = (outputs - targets) * 2 / 12, np.sign(outputs - targets) / 12
    sides = [Gradients(0.0, {}, [], outputs, made) for made in (squared, absolute, squared / 2)]
    assert named(sides[0], sides[1], targets) == [("loss", "squared error", "absolute error")]
    assert named(sides[0], sides[2], targets) == [("loss", "averaged", "times 0.0416667")]


def test_what_has_no_known_form_is_a_cause_only_where_outputs_are_equal():
    odd = gradient()
    odd.of_output = odd.of_output**3
    assert named(gradient(), odd) == [("loss", "cross-entropy of logits", "unknown")]
    odd.output = LOGITS + 1.0
    assert named(gradient(), odd) == []
