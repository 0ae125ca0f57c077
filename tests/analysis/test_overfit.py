"""Overfitting: the criteria by hand, the rule of the onset, intervals, verdicts, and gaps compared."""

import re

import msgspec
import numpy as np
import pytest
from scipy import stats
from support.made_runs import made_record, made_runs

from harness.analysis.findings import find
from harness.analysis.grouping import group_runs
from harness.analysis.overfit import (
    Onset,
    gap_differences,
    generalization_loss,
    onset,
    overfitting,
    progress_quotient,
)
from harness.report.runs.overfitting import gap_sentence, overfitting_sentence, overfitting_verdict
from harness.runs.record import Evaluation
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


def _group(*records):
    (group,) = group_runs(made_runs(*records)).groups
    return group


def _overfitting(*records):
    group = _group(*records)
    return overfitting(group, group.configurations[0])


def _overfitting_record(backend, seed):
    shift = seed * 0.01
    held_out = [2.0, 1.6, 1.2 + shift, 1.3 + shift, 1.5, 1.8 + shift]
    return made_record(backend, seed, train=[2, 1.5, 1.0, 0.6, 0.3, 0.1 + shift], held_out=held_out)


def test_epochs_that_were_not_scored_are_counted():
    def sparse(seed):
        record = _overfitting_record("torch", seed)
        scored = [msgspec.structs.replace(epoch, epoch=5 * epoch.epoch) for epoch in record.epochs]
        return msgspec.structs.replace(
            record, epochs=scored, best_epoch=5 * record.best_epoch, evaluation=Evaluation(5)
        )

    records = [sparse(seed) for seed in range(4)]
    overfit, plain = (
        _overfitting(*records),
        _overfitting(*[_overfitting_record("torch", s) for s in range(4)]),
    )
    assert (overfit.onset, overfit.best_epoch) == (Onset(20, (20, 20), 1.0), 15)
    assert overfit.scored_epochs == [5, 10, 15, 20, 25, 30]
    assert (overfit.lost, overfit.gap) == (plain.lost, plain.gap)
    assert "overfits from epoch 20" in overfitting_sentence(overfit)
    assert "lost by epoch 30" in overfitting_sentence(overfit)


def test_a_configuration_that_overfits():
    overfit = _overfitting(*[_overfitting_record("torch", seed) for seed in range(4)])
    assert (overfit.onset, overfit.best_epoch) == (Onset(4, (4, 4), 1.0), 3)
    assert overfit.gap.value == pytest.approx(100 * 1.7 / 4)
    assert overfit.lost.value == pytest.approx(100 * 0.6 / 4)
    assert overfit.gained.value == pytest.approx(2.0)
    verdict = overfitting_sentence(overfit)
    assert verdict.startswith(
        "torch:eager overfits from epoch 4: 15.0 [15.0, 15.0] points of validation accuracy lost by epoch 6"
    )
    assert "early stopping recovers 2.0 [2.0, 2.0] points on the test data" in verdict


def test_two_seeds_make_no_bands():
    overfit = _overfitting(*[_overfitting_record("torch", seed) for seed in range(2)])
    assert {(band.low, band.high) for band in overfit.bands.values()} == {(None, None)}
    assert (overfit.gap.low, overfit.onset.interval) == (None, None)


def test_no_band_leaves_the_possible_values():
    accuracies = [(0.0, 0.0), (3.9, 3.9), (0.1, 3.9)]  # losses; an accuracy is 1 - loss / 4
    records = [
        made_record(seed=seed, train=losses, held_out=losses) for seed, losses in enumerate(accuracies)
    ]
    bands = _overfitting(*records).bands
    for name in ("train accuracy", "validation accuracy"):
        assert (bands[name].low >= 0).all()
        assert (bands[name].high <= 100).all()
    assert (bands["validation loss"].low >= 0).all()


def test_intervals_of_bands_and_generalisation_losses_are_students():
    records = [_overfitting_record("torch", seed) for seed in range(3)]
    overfit = _overfitting(*records)
    ends = [epoch.validation["loss"] for record in records for epoch in record.epochs[-1:]]
    half = stats.t.ppf(0.975, 2) * np.std(ends, ddof=1) / 3**0.5
    mean, band = np.mean(ends), overfit.bands["validation loss"]
    factor = np.exp(half / mean)  # in logarithms: no loss is below 0
    assert (band.low[-1], band.high[-1]) == pytest.approx((mean / factor, mean * factor))
    risen = [
        100 * (end / min(epoch.validation["loss"] for epoch in record.epochs) - 1)
        for end, record in zip(ends, records, strict=True)
    ]
    half = stats.t.ppf(0.975, 2) * np.std(risen, ddof=1) / 3**0.5
    loss = overfit.generalization_loss
    assert (loss.value, loss.low, loss.high) == pytest.approx(
        (np.mean(risen), np.mean(risen) - half, np.mean(risen) + half)
    )


def test_an_onset_that_one_seed_causes_has_its_share_of_resamples():
    flat = [made_record(seed=seed, train=[2, 1, 0.5], held_out=[2, 1.5, 1.5]) for seed in range(4)]
    overfit = _overfitting(*flat, made_record(seed=4, train=[2, 1, 0.5], held_out=[2, 1.5, 2.5]))
    # A fifth of five draws is that seed: (4/5)^5 of the resamples lack it, 33 %.
    assert overfit.onset.share == pytest.approx(0.67, abs=0.05)
    verdict = overfitting_verdict(overfit)
    assert re.match(r"overfits from epoch 3 \(in \d+ % of resampled seeds\): ", verdict)


def test_a_configuration_that_does_not_overfit():
    overfit = _overfitting(*[made_record(seed=seed) for seed in range(3)])
    assert overfit.onset.epoch == 0
    assert overfitting_verdict(overfit).startswith("does not overfit within 2 epochs; gap ")


def test_early_stopping_that_costs_with_certainty_is_not_called_uncertain():
    records = [
        msgspec.structs.replace(_overfitting_record("torch", seed), test_at_best={"accuracy": 0.4, "loss": 1})
        for seed in range(3)
    ]
    verdict = overfitting_verdict(_overfitting(*records))
    assert "lost by epoch 6; but early stopping changes the test score by −10.0 [" in verdict


def test_one_epoch_is_one_epoch():
    overfit = _overfitting(made_record(train=[2.0], held_out=[2.0]))
    assert overfitting_verdict(overfit).startswith("does not overfit within 1 epoch; gap ")


def test_one_seed_has_no_interval():
    overfit = _overfitting(_overfitting_record("torch", 0))
    assert overfit.onset == Onset(4, None, None)
    assert (overfit.gap.low, overfit.generalization_loss.low, overfit.bands["gap"].low) == (None, None, None)


def test_gaps_are_compared_on_paired_seeds():
    alike = _group(*[_overfitting_record(name, seed) for name in ("jax", "torch") for seed in range(3)])
    (equal,) = gap_differences(alike)
    assert equal.result.verdict == "equal"
    other = [
        made_record("torch", seed, train=[2, 1.5, 1, 1, 1, 1 + seed / 50], held_out=[2, 1.5] + [1.2] * 4)
        for seed in range(3)
    ]
    (different,) = gap_differences(_group(*[_overfitting_record("jax", seed) for seed in range(3)], *other))
    assert different.result.verdict == "different"


def test_a_requested_margin_holds_for_gaps_too():
    records = [_overfitting_record(name, seed) for name in ("jax", "torch") for seed in range(3)]
    (group,) = find(made_runs(*records), margin=2.5).groups
    assert [gap.result.margin for gap in group.gaps] == [2.5]
    assert gap_sentence(group.gaps[0]).startswith(
        "The gaps of jax:eager and torch:eager are equal (difference "
    )
    assert "margin ±2.5 points" in gap_sentence(group.gaps[0])


def _adversarial_record(backend, seed):
    def scores(real):
        return {"loss": 0.6, "real": real + seed / 1000, "frechet_distance": 5.0}

    record = made_record(backend, seed)
    task = msgspec.structs.replace(record.task, description=GAN.define(GAN.options()))
    epochs = [msgspec.structs.replace(record.epochs[-1], train=scores(0.6), validation=scores(0.55))]
    return msgspec.structs.replace(record, task=task, epochs=epochs, epochs_asked=1)


def test_gaps_of_discriminators_are_in_points_whatever_the_margin_of_distances():
    records = [_adversarial_record(name, seed) for name in ("jax", "torch") for seed in range(3)]
    (group,) = find(made_runs(*records), margin=0.01).groups
    assert gap_sentence(group.gaps[0]).endswith("points, margin ±1 point, 3 seeds).")


@pytest.mark.parametrize(
    ("ratio", "error", "seeds", "words"),
    [
        (1.0, 0.05, 3, "no sign that it copies a quarter of its samples or more"),
        (1.0, 0.5, 3, "whether it copies is undecided"),  # the split is the same for all seeds
        (0.02, 0.05, 3, "samples lie nearer to training than to held-out samples"),
        (0.02, 0.8, 3, "whether it copies is undecided"),  # all samples are near a few pictures
        (0.02, 0.05, 1, "one seed does not show whether it copies"),
    ],
)
def test_the_interval_of_copies_includes_the_variance_of_the_split(ratio, error, seeds, words):
    scores = {"loss": 0.6, "frechet_distance": 5.0, "memorization_ratio": ratio}
    scores |= {"memorization_ratio_error": error}
    records = [
        msgspec.structs.replace(_adversarial_record("torch", seed), test_at_best=scores)
        for seed in range(seeds)
    ]
    assert f": {words} (" in overfitting_verdict(_overfitting(*records))


def test_a_memorisation_ratio_without_its_error_is_not_used():
    scores = {"loss": 0.6, "frechet_distance": 5.0, "memorization_ratio": 1.0}
    records = [
        msgspec.structs.replace(_adversarial_record("torch", seed), test_at_best=scores) for seed in range(3)
    ]
    assert "copies" not in overfitting_verdict(_overfitting(*records))


def test_a_curve_that_is_not_finite_is_not_assessed():
    record = made_record(held_out=[2.0, 1.5])
    record.epochs[1].validation["loss"] = None
    overfit = _overfitting(record)
    assert (overfit.onset, overfit.generalization_loss, overfit.progress_quotient) == (
        Onset(None),
        None,
        None,
    )
    assert "not finite" in overfitting_verdict(overfit)
