"""Overfitting read from curves: the criteria by hand, the rule of the onset, intervals and verdicts."""

import re

import msgspec
import numpy as np
import pytest
from scipy import stats
from support.made_runs import made_record, made_runs

from harness.analysis.grouping import group_runs
from harness.analysis.findings import find
from harness.analysis.gap_differences import gap_differences
from harness.analysis.overfit import Onset, overfitting
from harness.analysis.overfit_criteria import generalization_loss, onset, progress_quotient
from harness.report.words import gap_sentence, overfitting_verdict
from harness_tasks.gan import GAN

FALLING = np.linspace(2.0, 0.5, 8)


def test_generalization_loss_and_progress_quotient_by_hand():
    # Prechelt (1998): GL = 100 (E / E_opt - 1); P_k = 1000 (mean / min - 1) over a strip of k.
    validation = np.array([2.0, 1.0, 1.5, 0.8, 1.2])
    assert generalization_loss(validation) == pytest.approx([0, 0, 50, 0, 50])
    train = np.array([5.0, 4.0, 3.0, 2.0, 1.0])
    quotient = progress_quotient(train, validation)
    assert np.isnan(quotient[:4]).all()
    assert quotient[4] == pytest.approx(50 / (1000 * (3.0 / 1.0 - 1)))
    assert np.isnan(progress_quotient(np.ones(5), validation)).all()


@pytest.mark.parametrize(
    ("train", "validation", "epoch"),
    [
        (FALLING, [2, 1.5, 1.2, 1.0, 1.04, 1.1, 1.2, 1.4], 6),  # from 5 % above the lowest on
        (FALLING, [2, 1.5, 1.2, 1.0, 1.0, 0.9, 0.9, 0.9], 0),  # never rises
        (FALLING, [2, 1.5, 1.2, 1.0, 1.6, 1.0, 1.01, 1.02], 0),  # a spike that passes
        ([2, 1.5, 1, 0.9, 1, 1.5, 2, 3], [2, 1.5, 1.2, 1.0, 1.2, 1.6, 2.2, 3], 0),  # both diverge
        (FALLING, [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7], 2),  # from the start
    ],
)
def test_the_onset_follows_its_rule(train, validation, epoch):
    assert onset(np.array(train, float), np.array(validation, float)) == epoch


def test_the_onset_of_many_curves_is_that_of_each():
    validation = np.array([[2, 1.5, 1.2, 1.0, 1.04, 1.1, 1.2, 1.4], [2, 1.5, 1.2, 1.0, 1.0, 0.9, 0.9, 0.9]])
    assert onset(np.stack([FALLING, FALLING]), validation).tolist() == [6, 0]


def _section(*records):
    (section,) = group_runs(made_runs(*records)).groups
    return section


def _overfitting_record(backend, seed):
    shift = seed * 0.01
    held_out = [2.0, 1.6, 1.2 + shift, 1.3 + shift, 1.5, 1.8 + shift]
    return made_record(backend, seed, train=[2, 1.5, 1.0, 0.6, 0.3, 0.1 + shift], held_out=held_out)


def test_a_side_that_overfits():
    section = _section(*[_overfitting_record("torch", seed) for seed in range(4)])
    found = overfitting(section, section.sides[0])
    assert (found.onset, found.onset_range, found.onset_share, found.best_epoch) == (4, (4, 4), 1.0, 3)
    assert found.gap.value == pytest.approx(100 * 1.7 / 4)
    assert found.lost.value == pytest.approx(100 * 0.6 / 4)
    assert found.gained.value == pytest.approx(2.0)
    verdict = overfitting_verdict(found)
    assert verdict.startswith(
        "overfits from epoch 4: 15.0 [15.0, 15.0] points of validation accuracy lost by epoch 6"
    )
    assert "early stopping recovers 2.0 [2.0, 2.0] points on the test data" in verdict


def test_bands_and_risen_losses_are_students():
    records = [_overfitting_record("torch", seed) for seed in range(3)]
    section = _section(*records)
    found = overfitting(section, section.sides[0])
    ends = [epoch.validation["loss"] for record in records for epoch in record.epochs[-1:]]
    half = stats.t.ppf(0.975, 2) * np.std(ends, ddof=1) / 3**0.5
    band = found.bands["validation loss"]
    assert (band.low[-1], band.high[-1]) == pytest.approx((np.mean(ends) - half, np.mean(ends) + half))
    risen = [
        100 * (end / min(epoch.validation["loss"] for epoch in record.epochs) - 1)
        for end, record in zip(ends, records, strict=True)
    ]
    half = stats.t.ppf(0.975, 2) * np.std(risen, ddof=1) / 3**0.5
    assert found.generalization_loss[:3] == pytest.approx(
        (np.mean(risen), np.mean(risen) - half, np.mean(risen) + half)
    )


def test_an_onset_that_one_seed_makes_is_told_as_such():
    flat = [made_record(seed=seed, train=[2, 1, 0.5], held_out=[2, 1.5, 1.5]) for seed in range(4)]
    section = _section(*flat, made_record(seed=4, train=[2, 1, 0.5], held_out=[2, 1.5, 2.5]))
    verdict = overfitting_verdict(overfitting(section, section.sides[0]))
    # A fifth of five draws is that seed: (4/5)^5 have it nowhere, 33 %.
    told = re.match(r"overfits from epoch 3 \(in (\d+) % of resampled seeds\): ", verdict)
    assert int(told[1]) == pytest.approx(67, abs=5)


def test_a_side_that_does_not():
    section = _section(*[made_record(seed=seed) for seed in range(3)])
    found = overfitting(section, section.sides[0])
    assert found.onset == 0
    assert overfitting_verdict(found).startswith("does not overfit within 2 epochs; gap ")


def test_early_stopping_that_surely_costs_is_not_called_uncertain():
    records = [
        msgspec.structs.replace(_overfitting_record("torch", seed), test_at_best={"accuracy": 0.4, "loss": 1})
        for seed in range(3)
    ]
    section = _section(*records)
    verdict = overfitting_verdict(overfitting(section, section.sides[0]))
    assert "lost by epoch 6; yet early stopping would change the test score by -10.0 [" in verdict


def test_one_epoch_is_one_epoch():
    section = _section(made_record(train=[2.0], held_out=[2.0]))
    found = overfitting(section, section.sides[0])
    assert overfitting_verdict(found).startswith("does not overfit within 1 epoch; gap ")


def test_one_seed_has_no_interval():
    section = _section(_overfitting_record("torch", 0))
    found = overfitting(section, section.sides[0])
    assert (found.onset, found.onset_range, found.gap.low, found.generalization_loss.low) == (
        4,
        None,
        None,
        None,
    )
    assert found.bands["gap"].low is None


def test_gaps_of_frameworks_are_held_against_each_other_on_paired_seeds():
    alike = _section(*[_overfitting_record(name, seed) for name in ("jax", "torch") for seed in range(3)])
    (equal,) = gap_differences(alike)
    assert equal.result.verdict == "equal"
    other = [
        made_record("torch", seed, train=[2, 1.5, 1, 1, 1, 1 + seed / 50], held_out=[2, 1.5] + [1.2] * 4)
        for seed in range(3)
    ]
    (different,) = gap_differences(_section(*[_overfitting_record("jax", seed) for seed in range(3)], *other))
    assert different.result.verdict == "different"


def test_a_margin_that_is_asked_for_holds_for_gaps_too():
    sides = [_overfitting_record(name, seed) for name in ("jax", "torch") for seed in range(3)]
    (found,) = find(made_runs(*sides), margin=2.5).groups
    assert [gap.result.margin for gap in found.gaps] == [2.5]
    assert "margin ±2.5 points" in gap_sentence(found.gaps[0], found.comparison)


def _adversarial_record(backend, seed):
    def scores(real):
        return {"loss": 0.6, "real": real + seed / 1000, "frechet_distance": 5.0}

    record = made_record(backend, seed)
    task = msgspec.structs.replace(record.task, description=GAN.define(GAN.options()))
    epochs = [msgspec.structs.replace(record.epochs[-1], train=scores(0.6), validation=scores(0.55))]
    return msgspec.structs.replace(record, task=task, epochs=epochs, epochs_asked=1)


def test_gaps_of_discriminators_are_in_points_whatever_the_margin_of_distances():
    sides = [_adversarial_record(name, seed) for name in ("jax", "torch") for seed in range(3)]
    (found,) = find(made_runs(*sides), margin=0.01).groups
    assert gap_sentence(found.gaps[0], found.comparison).endswith("points, margin ±1 point, 3 seeds).")


@pytest.mark.parametrize(
    ("ratio", "error", "seeds", "told"),
    [
        (1.0, 0.05, 3, "no sign that it copies a quarter of its samples or more"),
        (1.0, 0.5, 3, "whether it copies cannot be told"),  # luck moves all seeds alike
        (0.02, 0.05, 3, "samples lie nearer to training than to held-out pictures"),
        (0.02, 0.8, 3, "whether it copies cannot be told"),  # all samples are near a few pictures
        (0.02, 0.05, 1, "one seed does not tell whether it copies"),
    ],
)
def test_copies_are_told_with_the_luck_of_the_split(ratio, error, seeds, told):
    scores = {"frechet_distance": 5.0, "memorization_ratio": ratio, "memorization_ratio_error": error}
    records = [
        msgspec.structs.replace(_adversarial_record("torch", seed), test_at_best=scores)
        for seed in range(seeds)
    ]
    section = _section(*records)
    assert f": {told} (" in overfitting_verdict(overfitting(section, section.sides[0]))


def test_a_ratio_of_before_it_saw_copies_among_many_pictures_is_not_told():
    scores = {"frechet_distance": 5.0, "memorization_ratio": 1.0}
    records = [
        msgspec.structs.replace(_adversarial_record("torch", seed), test_at_best=scores) for seed in range(3)
    ]
    section = _section(*records)
    assert "copies" not in overfitting_verdict(overfitting(section, section.sides[0]))


def test_a_curve_that_is_not_finite_is_said_to_be_unreadable():
    record = made_record(held_out=[2.0, 1.5])
    record.epochs[1].validation["loss"] = None
    section = _section(record)
    found = overfitting(section, section.sides[0])
    assert (found.onset, found.generalization_loss, found.progress_quotient) == (None, None, None)
