"""Overfitting: the criteria by hand, the rule of the onset, intervals, verdicts, and gaps compared."""

import numpy as np
import pytest
from scipy import stats
from support.made_overfitting import OVERFITTING, adversarial_records, overfitting_records
from support.made_records import seeds_of
from support.made_runs import findings_of, only_group

from harness.learning.runs.overfit import Onset, generalization_loss, onset

FALLING = np.linspace(2.0, 0.5, 8)


def test_generalization_loss_by_hand():
    # Prechelt (1998): GL = 100 (E / E_opt - 1).
    validation = np.array([2.0, 1.0, 1.5, 0.8, 1.2])
    assert generalization_loss(validation) == pytest.approx([0, 0, 50, 0, 50])


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


def overfitting_of(*records):
    (overfit,) = only_group(*records).overfittings
    return overfit


@pytest.mark.parametrize(
    ("name", "begins", "best", "copying"),
    [
        ("overfits", Onset(4, (4, 4), 1.0), 3, None),
        ("scored every five epochs", Onset(20, (20, 20), 1.0), 15, None),
        ("one seed", Onset(4), 3, None),
        ("does not overfit", Onset(0, None, 0.0), 2, None),
        ("one epoch", Onset(0), 1, None),
        ("not finite", Onset(None), 2, None),
        ("copies", Onset(None), 2, "copies"),
        ("copies nothing", Onset(None), 2, "no sign"),
        ("copying of one seed", Onset(None), 2, "one seed"),
        ("a wide split", Onset(None), 2, "undecided"),
        ("near a few images", Onset(None), 2, "undecided"),
        ("no error of the ratio", Onset(None), 2, None),
    ],
)
def test_onset_best_epoch_and_copies(name, begins, best, copying):
    overfit = overfitting_of(*OVERFITTING[name])
    assert (overfit.onset, overfit.best_epoch, overfit.copying) == (begins, best, copying)


def test_a_configuration_that_overfits():
    overfit, sparse = (
        overfitting_of(*OVERFITTING[name]) for name in ("overfits", "scored every five epochs")
    )
    assert overfit.gap.value == pytest.approx(100 * 1.7 / 4)
    assert overfit.lost.value == pytest.approx(100 * 0.6 / 4)
    assert overfit.gained.value == pytest.approx(2.0)
    assert (sparse.lost, sparse.gap) == (overfit.lost, overfit.gap)
    assert (overfit.scored_epochs, sparse.scored_epochs) == ([1, 2, 3, 4, 5, 6], [5, 10, 15, 20, 25, 30])


def test_fewer_than_three_seeds_have_no_bands_and_no_intervals():
    for name in ("two seeds", "one seed"):
        overfit = overfitting_of(*OVERFITTING[name])
        assert {(band.low, band.high) for band in overfit.bands.values()} == {(None, None)}
        assert (overfit.gap.low, overfit.generalization_loss.low, overfit.onset.interval) == (None,) * 3


def test_no_band_leaves_the_possible_values():
    losses = [(0.0, 0.0), (3.9, 3.9), (0.1, 3.9)]  # an accuracy is 1 - loss / 4
    records = seeds_of(train=lambda seed: losses[seed], held_out=lambda seed: losses[seed])
    bands = overfitting_of(*records).bands
    for name in ("train accuracy", "validation accuracy"):
        assert (bands[name].low >= 0).all()
        assert (bands[name].high <= 100).all()
    assert (bands["validation loss"].low >= 0).all()


def test_intervals_of_bands_and_generalisation_losses_are_students():
    records = overfitting_records(seeds=range(3))
    overfit = overfitting_of(*records)
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
    factor = np.exp(half / np.mean(risen))  # nor does it end below its lowest value
    assert (loss.value, loss.low, loss.high) == pytest.approx(
        (np.mean(risen), np.mean(risen) / factor, np.mean(risen) * factor)
    )


def test_an_onset_that_one_seed_causes_has_its_share_of_resamples():
    # A fifth of five draws is that seed: (4/5)^5 of the resamples lack it, 33 %.
    onset_of_one = overfitting_of(*OVERFITTING["one seed of five"]).onset
    assert (onset_of_one.epoch, onset_of_one.share) == (3, pytest.approx(0.67, abs=0.05))


def test_early_stopping_may_cost():
    gained = overfitting_of(*OVERFITTING["stopping costs"]).gained
    assert (gained.value, gained.excludes(0.0)) == (pytest.approx(-10.0), True)


def test_a_curve_that_is_not_finite_is_not_assessed():
    assert overfitting_of(*OVERFITTING["not finite"]).generalization_loss is None


def gaps_of(*records, **options):
    (gap,) = findings_of(*records, **options).groups[0].gaps
    return gap.result


def test_gaps_are_compared_on_paired_seeds():
    jax = overfitting_records("jax", range(3))
    assert gaps_of(*jax, *overfitting_records("torch", range(3))).verdict == "equal"
    other = seeds_of(train=lambda seed: [2, 1.5, 1, 1, 1, 1 + seed / 50], held_out=[2, 1.5, *[1.2] * 4])
    assert gaps_of(*jax, *other).verdict == "different"


def test_a_requested_margin_holds_for_gaps_too_but_for_those_of_discriminators():
    """Which are in points, whatever the margin of distances."""
    for records, margin, expected in ((overfitting_records, 2.5, 2.5), (adversarial_records, 0.01, 1.0)):
        both = [record for name in ("jax", "torch") for record in records(name, range(3))]
        assert gaps_of(*both, margin=margin).margin == expected
