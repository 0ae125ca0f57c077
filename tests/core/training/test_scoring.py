"""Scores compared with scikit-learn's, and at the limits of floating point."""

import msgspec
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss, roc_auc_score

from harness.core.reference.losses import loss_and_gradient
from harness.core.training import scoring
from harness.core.training.measures import measure_of_task
from harness.core.training.outcome_records import SampleScores
from harness.spec import LOSSES, BinaryClassification, Classification, Regression
from harness.spec.data import Samples
from harness_tasks.forecast import FORECAST
from harness_tasks.lm import LM
from harness_tasks.mlp import MLP
from harness_tasks.tabular import TABULAR


def _scores_of(function):
    """The function with its scores alone."""
    return lambda *arguments: function(*arguments).scores


binary_scores, classification_scores, position_scores, score = map(
    _scores_of,
    (scoring.binary_scores, scoring.classification_scores, scoring.position_scores, scoring.score),
)


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


@pytest.mark.parametrize(
    ("logits", "targets", "loss", "accuracy"),
    [
        ([[1e308, -1e308, 0.0], [3e38, 0.0, -3e38]], [0, 0], 0.0, 1.0),
        ([[1e5, 0.0]], [0], 0.0, 1.0),
        ([[1e5, 0.0]], [1], 1e5, 0.0),
        *(
            ([[1.0, 2.0], [bad, bad], [3.0, 1.0], [0.0, 1.0]], [1, 1, 0, 0], None, 0.5)
            for bad in (np.nan, np.inf, -np.inf)
        ),
        ([[0.0, -np.inf]], [1], None, 0.0),
        ([[np.nan] * 3] * 2, [0, 0], None, 0.0),
    ],
)
def test_scores_at_the_limits_neither_overflow_nor_warn(logits, targets, loss, accuracy):
    """A loss that is not finite is none, and a row of NaN is never correct."""
    scores = classification_scores(np.array(logits), np.array(targets))
    assert (scores["loss"], scores["accuracy"]) == (loss, accuracy)


def test_scoring_does_not_change_its_inputs():
    logits = np.ones((3, 2))
    classification_scores(logits, np.zeros(3, np.int64))
    assert np.array_equal(logits, np.ones((3, 2)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_binary_scores_are_those_of_scikit_learn(dtype):
    random = np.random.default_rng(2)
    logits = np.round(2 * random.standard_normal((400, 1)), 1).astype(dtype)  # with equal ones
    targets = (random.random(400) < 0.3).astype(np.int64)
    scores = score(TABULAR.define(TABULAR.options()), lambda *_: logits, Samples(logits, targets))
    values = logits[:, 0].astype(np.float64)
    assert scores["loss"] == pytest.approx(log_loss(targets, 1 / (1 + np.exp(-values))), rel=1e-12)
    assert scores["accuracy"] == accuracy_score(targets, values > 0)
    assert scores["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(targets, values > 0))
    assert scores["auc"] == pytest.approx(roc_auc_score(targets, values), rel=1e-12)
    assert scores["recall_0"] == np.mean(values[targets == 0] <= 0)


def test_binary_scores_at_the_limits():
    huge = np.array([[1e307], [-1e307]])
    right, wrong = (binary_scores(huge, np.array(targets)) for targets in ([1, 0], [0, 1]))
    assert (right["loss"], right["accuracy"], right["auc"]) == (0.0, 1.0, 1.0)
    assert (wrong["loss"], wrong["accuracy"], wrong["auc"]) == (1e307, 0.0, 0.0)
    assert binary_scores(huge, np.array([1, 1]))["auc"] is None
    broken = binary_scores(np.array([[np.nan], [1.0]]), np.array([0, 1]))
    assert (broken["loss"], broken["accuracy"], broken["auc"]) == (None, 0.5, None)


def _windows(count, steps=5, classes=7):
    random = np.random.default_rng(3)
    inputs, targets = random.integers(0, classes, (2, count, steps))
    table = random.standard_normal((classes, steps, classes))

    def predict(rows, network="model"):
        return np.stack([table[rows[:, step], step] for step in range(steps)], axis=1)

    return Samples(inputs, targets), predict


def test_scores_of_positions_count_all_alike_and_do_not_depend_on_parts(monkeypatch):
    samples, predict = _windows(50)
    logits = predict(samples.inputs).reshape(-1, 7)
    expected = classification_scores(logits, samples.targets.ravel())
    whole = position_scores(predict, samples, (5, 7))
    monkeypatch.setattr(scoring, "_MOST_LOGITS", 8 * 35)
    sizes = []

    def noting(rows, network="model"):
        sizes.append(len(rows))
        return predict(rows, network)

    parts = position_scores(noting, samples, (5, 7))
    assert sizes == [8] * 6 + [2]
    assert parts == pytest.approx(whole, rel=1e-12)
    assert whole["loss"] == pytest.approx(expected["loss"], rel=1e-12)
    assert whole["accuracy"] == expected["accuracy"]
    assert whole["perplexity"] == pytest.approx(np.exp(expected["loss"]))
    assert whole["bits_per_token"] == pytest.approx(np.log2(np.exp(expected["loss"])))
    assert set(whole) == {"loss", "accuracy", "perplexity", "bits_per_token"}


OBJECTIVES = {
    "mse_softmax": Classification(loss="mse_softmax"),
    "mse_logits": Classification(loss="mse_logits"),
    "mse_sigmoid": BinaryClassification(loss="mse_sigmoid"),
    "mae": Regression("mae"),
    "huber": Regression("huber"),
}


@pytest.mark.parametrize("loss", LOSSES)
def test_a_special_loss_is_scored_as_it_is_trained_beside_the_default(loss):
    """The reference's losses are written independently of the scores."""
    random, objective = np.random.default_rng(4), OBJECTIVES[loss]
    outputs = 2 * random.standard_normal((50, 1 if loss == "mse_sigmoid" else 3))
    targets = random.standard_normal((50, 3))
    if not isinstance(objective, Regression):
        targets = random.integers(0, max(2, outputs.shape[1]), 50)
    plain = type(objective)()
    functions = {
        Classification: scoring.classification_scores,
        BinaryClassification: scoring.binary_scores,
        Regression: scoring.regression_scores,
    }
    scored = functions[type(objective)](outputs, targets, loss)
    default = functions[type(objective)](outputs, targets)
    assert scored.scores["loss"] == pytest.approx(
        loss_and_gradient(objective, outputs, targets)[0], rel=1e-12
    )
    assert scored.rows.losses.mean() == pytest.approx(scored.scores["loss"], rel=1e-12)
    assert default.scores["loss"] == pytest.approx(loss_and_gradient(plain, outputs, targets)[0], rel=1e-12)
    beside = "mean_squared_error" if isinstance(objective, Regression) else "cross_entropy"
    assert scored.scores[beside] == default.scores["loss"]
    assert scored.scores.keys() - default.scores.keys() == {beside}
    unchanged = default.scores.keys() - {"loss"}
    assert {name: scored.scores[name] for name in unchanged} == {n: default.scores[n] for n in unchanged}


def test_positions_are_scored_by_a_special_loss_too():
    samples, predict = _windows(20)
    scores = position_scores(predict, samples, (5, 7), "mse_softmax")
    flat = predict(samples.inputs).reshape(-1, 7), samples.targets.ravel()
    assert scores["loss"] == pytest.approx(classification_scores(*flat, "mse_softmax")["loss"], rel=1e-12)
    assert scores["perplexity"] == position_scores(predict, samples, (5, 7))["perplexity"]
    assert np.log(scores["perplexity"]) == pytest.approx(scores["cross_entropy"])


def test_quality_is_measured_alike_whichever_loss_is_trained():
    def measure(definition, **options):
        return measure_of_task(definition.define(definition.options(**options)))

    assert measure(FORECAST).key == "loss"
    assert measure(FORECAST, loss="huber") == msgspec.structs.replace(
        measure(FORECAST), key="mean_squared_error"
    )
    assert measure(MLP, loss="mse_logits") == measure(MLP)


def test_a_language_model_is_scored_at_each_position():
    task = LM.define(LM.options())
    inputs = np.zeros((3, 64), np.int64)
    even = score(task, lambda rows, _: np.zeros((*rows.shape, 65)), Samples(inputs, inputs))
    assert even["loss"] == pytest.approx(np.log(65))
    assert even["perplexity"] == pytest.approx(65)
    diverged = score(task, lambda rows, _: np.full((*rows.shape, 65), np.nan), Samples(inputs, inputs))
    assert (diverged["loss"], diverged["perplexity"], diverged["accuracy"]) == (None, None, 0.0)
    far = score(task, lambda rows, _: np.eye(65)[np.ones_like(rows)] * 1e6, Samples(inputs, inputs))
    assert (far["loss"], far["perplexity"]) == (1e6, None)


def test_the_mean_of_the_rows_is_the_score():
    random = np.random.default_rng(1)
    logits, targets = random.standard_normal((500, 7)), random.integers(0, 7, 500)
    scored = scoring.classification_scores(logits, targets)
    assert scored.rows.losses.mean() == pytest.approx(scored.scores["loss"], rel=1e-12)
    assert scored.rows.right.mean() == pytest.approx(scored.scores["accuracy"], rel=1e-12)


def test_a_text_has_the_mean_loss_of_its_positions():
    inputs = np.arange(12).reshape(4, 3)
    logits = np.random.default_rng(0).standard_normal((4, 3, 5))
    targets = inputs % 5
    scored = scoring.position_scores(lambda x, _: logits[: len(x)], Samples(inputs, targets), (3, 5))
    assert scored.rows.losses.shape == scored.rows.right.shape == (4,)
    assert scored.rows.losses.mean() == pytest.approx(scored.scores["loss"])


def test_packed_scores_of_samples_come_back():
    random = np.random.default_rng(3)
    losses, right = random.exponential(2.0, 1003), (random.uniform(size=1003) < 0.7).astype(float)
    stored = scoring.packed(scoring.Rows(losses, right))
    stored = msgspec.json.decode(msgspec.json.encode(stored), type=SampleScores)
    assert len(stored.losses) + len(stored.right) < 2.2 * 1003
    found = scoring.unpacked(stored)
    assert found.losses == pytest.approx(losses, rel=2**-11, abs=losses.max() * 2**-24)
    assert found.right.tolist() == right.tolist()


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_packed_scores_of_a_regression_and_of_positions(scale):
    errors = scale * np.array([0.0, 1.0, 2.5, np.inf])
    of_errors = scoring.unpacked(scoring.packed(scoring.Rows(errors, errors)))
    assert of_errors.right.tolist() == of_errors.losses.tolist() == pytest.approx(errors.tolist(), rel=1e-3)
    shares = np.array([0.0, 1 / 3, 1.0, 0.5])
    of_positions = scoring.unpacked(scoring.packed(scoring.Rows(errors, shares)))
    assert of_positions.right == pytest.approx(shares, rel=1e-3)
    assert scoring.packed(scoring.NO_ROWS) is None


def test_a_damaged_record_of_samples_is_refused():
    with pytest.raises(ValueError, match="losses of the samples have another length than 3 samples"):
        SampleScores(3, 1.0, b"1234")
    with pytest.raises(ValueError, match="right of the samples"):
        SampleScores(9, 1.0, b"12" * 9, b"1")
