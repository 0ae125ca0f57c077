"""Scores compared with scikit-learn's, and at the limits of floating point."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, log_loss

from harness.training.scoring import classification_scores


def _softmax(logits):
    exponentials = np.exp(logits)
    return exponentials / exponentials.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_are_those_of_scikit_learn(dtype):
    random = np.random.default_rng(1)
    logits = (3 * random.standard_normal((500, 7))).astype(dtype)
    targets = random.integers(0, 7, 500)
    scores = classification_scores(logits, targets)
    probabilities = _softmax(logits.astype(np.float64))
    assert scores["loss"] == pytest.approx(log_loss(targets, probabilities, labels=range(7)), rel=1e-12)
    assert scores["accuracy"] == accuracy_score(targets, logits.argmax(axis=1))


def test_the_loss_is_summed_in_float64():
    logits = np.zeros((200_000, 2), np.float32)
    scores = classification_scores(logits, np.zeros(len(logits), np.int64))
    assert scores["loss"] == pytest.approx(np.log(2), rel=1e-14)


def test_huge_logits_neither_overflow_nor_warn():
    logits = np.array([[1e308, -1e308, 0.0], [3e38, 0.0, -3e38]])
    assert classification_scores(logits, np.array([0, 0])) == classification_scores(
        np.array([[1000.0, 0.0, 0.0]]), np.array([0])
    )
    right = classification_scores(np.array([[1e5, 0.0]], np.float32), np.array([0]))
    wrong = classification_scores(np.array([[1e5, 0.0]], np.float32), np.array([1]))
    assert (right["loss"], right["accuracy"]) == (0.0, 1.0)
    assert (wrong["loss"], wrong["accuracy"]) == (1e5, 0.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_loss_that_is_not_finite_is_none(bad):
    logits = np.array([[1.0, 2.0], [bad, bad], [3.0, 1.0], [0.0, 1.0]])
    scores = classification_scores(logits, np.array([1, 1, 0, 0]))
    assert scores["loss"] is None
    assert scores["accuracy"] == 0.5  # the first and the third row


def test_an_impossible_target_makes_the_loss_none():
    scores = classification_scores(np.array([[0.0, -np.inf]]), np.array([1]))
    assert (scores["loss"], scores["accuracy"]) == (None, 0.0)


def test_scoring_does_not_change_its_inputs():
    logits = np.ones((3, 2))
    classification_scores(logits, np.zeros(3, np.int64))
    assert np.array_equal(logits, np.ones((3, 2)))


def test_a_row_of_nan_is_never_correct():
    logits = np.full((2, 3), np.nan)
    assert classification_scores(logits, np.array([0, 0]))["accuracy"] == 0.0
