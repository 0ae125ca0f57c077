"""What a network made of the test samples: confusions, examples right and wrong, forecasts in their unit."""

from types import SimpleNamespace

import numpy as np
import pytest
from support.made_outcomes import CLASSES, SERIES, classified

from harness.core.training.outcome_records import Example, Outcomes
from harness.core.training.program_scores import (
    MOST_EXAMPLES,
    Scorer,
    calibration,
    epochs_grid,
    first_samples,
    image_row,
    outcomes,
    sample_grid,
    shown_epochs,
)
from harness.spec.data import Samples
from harness_tasks.cnn import CNN
from harness_tasks.forecast import FORECAST
from harness_tasks.gan import GAN
from harness_tasks.tabular import TABULAR

TASK = CNN.define(CNN.options())


def _size(png):
    return int.from_bytes(png[16:20], "big"), int.from_bytes(png[20:24], "big")


def test_confusions_count_every_sample_once():
    logits, test = classified()
    seen = outcomes(TASK, logits, test, CLASSES, None)
    matrix = np.array(seen.confusion)
    assert matrix.sum() == len(test)
    assert matrix.sum(axis=1).tolist() == np.bincount(test.targets).tolist()
    assert np.trace(matrix) == (logits.argmax(axis=1) == test.targets).sum()


def test_examples_are_the_surest_mistakes_and_right_answers_of_all_classes():
    logits, test = classified()
    seen = outcomes(TASK, logits, test, CLASSES, None)
    wrong = [one for one in seen.examples if one.target != one.predicted]
    right = [one for one in seen.examples if one.target == one.predicted]
    assert (len(wrong), len(right)) == (MOST_EXAMPLES // 2, MOST_EXAMPLES // 2)
    assert [one.probability for one in wrong] == sorted((one.probability for one in wrong), reverse=True)
    assert {one.target for one in right} == set(range(len(CLASSES)))
    assert all(test.targets[one.index] == one.target for one in seen.examples)
    assert all(one.values == [] for one in seen.examples)


def test_calibration_bins_hold_every_sample_and_weigh_their_gaps():
    # Guo et al. (2017): bin m is (m - 1) / M to m / M, the upper end included.
    sure = np.array([0.5, 0.5 + 1e-9, 0.75, 0.8, 1.0, 1.0])
    seen = calibration(sure, np.array([True, False, False, True, True, False]), bins=4)
    assert seen.counts == [0, 1, 2, 3]
    assert seen.confidences[:3] == [None, 0.5, pytest.approx(0.625)]
    assert seen.accuracies == [None, 1.0, 0.0, pytest.approx(2 / 3, abs=1e-6)]
    gaps = abs(0.5 - 1), abs(0.625 - 0), abs(2.8 / 3 - 2 / 3)
    assert seen.expected_error == pytest.approx((gaps[0] + 2 * gaps[1] + 3 * gaps[2]) / 6)
    assert calibration(np.array([np.nan, 0.5]), np.array([True, False])) is None
    assert calibration(np.zeros(0), np.zeros(0, bool)) is None


def test_a_classifier_whose_confidence_is_its_accuracy_is_calibrated():
    random = np.random.default_rng(0)
    logits = random.normal(size=(100_000, 3))
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    targets = (random.random((len(shares), 1)) > shares.cumsum(axis=1)).sum(axis=1).clip(max=2)
    test = Samples(np.zeros((len(shares), 1)), targets)
    honest, sure = (outcomes(TASK, scale * logits, test, CLASSES, None).calibration for scale in (1, 4))
    assert len(honest.counts) == 15
    assert sum(honest.counts) == len(test)
    assert honest.expected_error < 0.01
    assert sure.expected_error > 0.2


def test_a_binary_classifier_is_calibrated_by_the_probability_of_its_answer():
    task = TABULAR.define(TABULAR.options())
    logits = np.log([[0.9 / 0.1], [0.1 / 0.9]])  # probabilities of class 1: 0.9 and 0.1
    seen = outcomes(
        task, logits, Samples(np.zeros((2, 30)), np.array([1, 0])), ("no", "yes"), None
    ).calibration
    assert seen.counts[13] == 2
    assert seen.confidences[13] == pytest.approx(0.9)
    assert seen.expected_error == pytest.approx(0.1)


def test_sequences_are_kept_with_eight_bits():
    logits, test = classified(shape=(200, 1))
    values = outcomes(TASK, logits, test, CLASSES, None).examples[0].values
    assert len(values) <= 64
    assert (min(values), max(values)) == pytest.approx((0, 255), abs=3)


def test_outputs_without_a_class_have_a_number_as_their_name():
    logits, test = classified()
    assert outcomes(TASK, np.pad(logits, ((0, 0), (0, 1))), test, CLASSES, None).classes == [*CLASSES, "3"]


def test_a_forecast_is_in_the_unit_of_its_series():
    task = FORECAST.define(FORECAST.options())
    test = Samples(np.full((3, 22, 1), 0.5), np.array([[1.0, 9], [0.0, 9], [-1.0, 9]]))
    seen = outcomes(task, np.array([[0.5, 9], [0.25, 9], [0.0, 9]]), test, (), SERIES).forecast
    assert (seen.truth, seen.forecast, seen.naive) == ([90, 50, 10], [70, 60, 50], [70, 70, 70])
    assert seen.start == 1962
    assert outcomes(task, test.targets, test, (), None) is None
    assert outcomes(GAN.define(GAN.options()), test.targets, test, (), None) is None


@pytest.mark.parametrize(
    "damaged",
    [
        {"examples": [Example(0, 2**63, 0, 1.0)]},
        {"examples": [Example(0, 0, -1, 1.0)]},
        {"confusion": [[1, 2]]},
        {"confusion": [[1], [2]]},
    ],
)
def test_outcomes_whose_classes_have_no_name_are_damaged(damaged):
    with pytest.raises(ValueError, match="classes that the record does not list"):
        Outcomes(classes=["a", "b"], **damaged)


def test_the_scorer_of_a_run_keeps_what_a_report_draws():
    logits, test = classified()
    calls = []
    program = SimpleNamespace(
        predict=lambda inputs, network="model": calls.append(network) or logits[: len(inputs)]
    )
    scorer = Scorer(TASK, {"validation": test, "test": test}, 0, CLASSES)
    scorer.scores(program, "validation")
    scores = scorer.scores(program, "test").scores
    drawn = scorer.drawn(program)
    assert calls == ["model", "model"], "a report does not predict again"
    assert drawn.outcomes == outcomes(TASK, logits, test, CLASSES, None)
    assert drawn.outcomes.confusion[0][0] / sum(drawn.outcomes.confusion[0]) == scores["recall_0"]
    assert _size(drawn.examples_png) == (8 * MOST_EXAMPLES, 8)


def test_grids_have_a_row_for_each_shown_epoch():
    fakes = np.random.default_rng(0).random((64, 8, 8, 1))
    assert _size(sample_grid(fakes)) == (8 * 10 * 2, 8 * 10 * 2)
    assert _size(epochs_grid([first_samples(fakes)] * 3)) == (8 * 10 * 2, 3 * 10 * 2)
    assert _size(image_row(np.zeros((5, 8, 6, 3), np.uint8))) == (30, 8)
    assert image_row(np.zeros((5, 40, 1))) is None
    assert epochs_grid([]) is None
    assert (shown_epochs(3), shown_epochs(100)[0], shown_epochs(100)[-1]) == ([0, 1, 2], 0, 99)
    assert len(shown_epochs(100)) == 10
