"""Membership inference by a threshold of the loss."""

import time

import msgspec
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from support.made_records import made_record

from harness.core.runs.record import Extension
from harness.core.training.scoring import Rows, packed
from harness.learning.privacy.membership import KEPT, attack, of_runs, spread
from harness.learning.privacy.record import MEMBERSHIP, MemberScores


def _drawn(members, others, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0.0, 1.0, members), rng.normal(0.5, 1.0, others)


def test_the_area_is_that_of_scikit_learn_also_with_ties():
    for digits in (8, 1, 0):
        members, others = (np.round(side, digits) for side in _drawn(400, 300))
        belongs = np.repeat([1, 0], [400, 300])
        right = roc_auc_score(belongs, -np.concatenate([members, others]))
        assert attack(members, others).area.value == pytest.approx(right, abs=1e-12)


def test_equal_losses_are_guesses():
    found = attack(np.zeros(50), np.zeros(70))
    assert found.area.value == 0.5
    assert found.true_positives.value == found.false_positives == 0.0


def test_the_threshold_keeps_the_false_positives_below_one_per_cent_and_counts_ties():
    others = np.concatenate([np.full(3, -1.0), np.arange(197.0)])  # three tied at the lowest loss
    found = attack(np.array([-2.0, -1.0, -1.0, 5.0]), others)
    assert (found.true_positives.value, found.false_positives) == (0.25, 0.0)
    found = attack(np.array([-2.0, -1.0, -1.0, 5.0]), np.concatenate([others, np.arange(100.0)]))
    assert (found.true_positives.value, found.false_positives) == (0.75, 0.01)


def test_the_interval_covers_the_true_area_about_as_often_as_it_says():
    true = 0.6381632  # P(x < y) for normals that are 0.5 apart: the distribution function at 0.5 / sqrt(2)
    held = [attack(*_drawn(150, 200, seed)).area.around(true) for seed in range(300)]
    assert 0.92 < np.mean(held) < 0.98


def _run(seed, members, others):
    record = made_record(seed=seed)
    scores = MemberScores(packed(Rows(members, np.ones(len(members)))))
    record.extensions = {MEMBERSHIP: Extension(msgspec.to_builtins(scores))}
    record.test_samples_at_last = packed(Rows(others, np.ones(len(others))))
    return record


def test_records_of_several_seeds_are_joined_within_a_second():
    records = [_run(seed, *_drawn(KEPT, 10_000, seed)) for seed in range(5)]
    start = time.process_time()
    found = of_runs(records)
    assert time.process_time() - start < 1.0
    assert found.area.low < 0.638 < found.area.high
    assert found.area.value == pytest.approx(0.638, abs=0.02)


def test_records_without_losses_of_training_samples_have_none():
    record = _run(0, *_drawn(10, 10))
    record.extensions = {}
    assert of_runs([record]) is None


def test_the_samples_that_are_kept_are_spread_over_all():
    places = spread(10_000, KEPT)
    assert len(places) == KEPT
    assert (places[0], places[-1]) == (0, 9_999)
    assert spread(7, KEPT).tolist() == [*range(7)]
