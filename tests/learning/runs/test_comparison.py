"""Speed, quality and time to a target of configurations and of settings."""

import msgspec
import pytest
from support.made_comparisons import (
    BUSY,
    COMPARISONS,
    changing,
    eighteen_times,
    forecasts,
    made_duel,
    setting_records,
    with_duels,
)
from support.made_records import made_record, seeds_of, two_configurations
from support.made_runs import compared
from support.records import MACHINE, reconfigured

from harness.core.certify.certificate import Certificate
from harness.core.machine.usage import Interference
from harness.core.runs.record import DatasetRecord

#: The reference, and how each other one compares with it in speed and quality.
VERDICTS = {
    "equal": "jax: torch slower equal",
    "another margin": "jax: torch slower equal",
    "three": "jax: torch slower equal, keras slower better",
    "six": f"b0: {', '.join(f'b{number} slower equal' for number in range(1, 6))}",
    "alone": "jax:",
    "not certified": "jax:",
    "other work": "jax:",
    "one seed": "jax: torch unreliable undecided",
    "one seed, other scores": "jax: torch unreliable undecided",
    "no common seed": "jax: torch not measured undecided",
    "no steady step": "jax: torch not measured undecided",
    "wide intervals": "torch: jax undecided equal",
    "relative margins": "jax: torch slower equal, keras slower equal",
    "other scores": "jax: keras unreliable undecided, torch unreliable undecided",
    "duel": "jax: torch slower equal",
    "duel that reverses": "torch: jax slower equal",
    "duels that reverse twice": "keras: jax slower better, torch slower better",
    "duels in a circle": "keras: jax faster better, torch slower better",
    "duel: slower": "jax: torch slower equal",
    "duel: same": "jax: torch same equal",
    "duel: undecided": "jax: torch undecided equal",
    "duel of a busy machine": "jax: torch slower equal",
    "quiet": "jax: torch slower equal",
    "few runs": "jax: torch unreliable undecided",
    "busy": "jax: torch unreliable equal",
    "not settled": "jax: torch unreliable equal",
    "one busy run": "jax: torch unreliable undecided",
    # The test score of rmsprop is higher than that of adam, which must not be used to choose.
    "settings: four": "adam: rmsprop not measured equal, sgd not measured worse, gd not measured worse",
    "settings: one misses the target": "adam: sgd not measured worse, gd not measured worse",
    "settings: no certificate": "adam: sgd not measured worse",
    "settings: one seed": "adam: sgd not measured undecided",
    "settings: undecided": "adam: sgd not measured undecided, gd not measured worse",
    "settings: no scores": "adam: sgd not measured undecided",
    "settings: no validation": "sgd: adam not measured worse",
    "settings: many": "learning_rate=1: "
    + ", ".join(f"learning_rate={rate} not measured equal" for rate in range(2, 8)),
}


@pytest.mark.parametrize("name", COMPARISONS)
def test_verdicts(name):
    comparison = COMPARISONS[name]()
    reference = comparison.summaries[0]
    assert all(pair.reference is reference for pair in comparison.pairs)
    pairs = [f"{each.other.name} {each.speed_verdict} {each.quality_verdict}" for each in comparison.pairs]
    text = f"{reference.name}: {', '.join(pairs)}".strip().replace(":eager", "")
    assert text == VERDICTS[name]


def test_figures_agree_with_hand_computed_ones():
    comparison = compared(*two_configurations())
    _, slow = comparison.summaries
    assert slow.step_seconds.value == pytest.approx(0.01)
    assert slow.samples_per_second == pytest.approx(6400)
    assert slow.quality.value == pytest.approx(60.2)
    assert slow.phases == pytest.approx(
        {"import": 1, "data": 0.5, "build": 0.2, "first step": 0.5, "steps": 0.5, "evaluation": 0.3}
    )
    assert slow.measured == {"peak_memory_bytes": 2**28}
    ratio = comparison.pairs[0].ratio
    assert ratio.value == pytest.approx(2.0, rel=0.01)
    assert ratio.low < ratio.value < ratio.high


def test_the_fastest_is_the_fastest_on_the_seeds_of_both():
    steps = [0.0111, 0.011, 0.0109, 0.002, 0.002]
    jax = seeds_of("jax", range(5), step=lambda seed: steps[seed])
    comparison = compared(*jax, *seeds_of("torch"))
    # The mean of all its runs makes jax the faster one, the three seeds that torch has as well do not.
    assert [summary.name for summary in comparison.summaries] == ["torch:eager", "jax:eager"]
    ratio = comparison.pairs[0].ratio
    assert (ratio.n, ratio.value) == (3, pytest.approx(1.1, rel=0.001))
    assert ratio.low < ratio.value < ratio.high


def test_one_seed_makes_no_interval():
    assert COMPARISONS["one seed"]().pairs[0].ratio.low is None


def test_a_relative_margin_is_a_share_of_the_score_of_each_other_configuration():
    """As the margin of gaps is."""
    margins = {pair.other.name: pair.quality.margin for pair in forecasts().pairs}
    assert margins == pytest.approx({"torch:eager": 0.05 * 0.511, "keras:eager": 0.05 * 0.521})


def test_time_to_a_target_counts_those_that_reach_it():
    reach = made_record("jax", 0, held_out=(2.0, 1.0))  # accuracies 0.5, then 0.75
    short = made_record("jax", 1, held_out=(2.0, 1.6))
    target = compared(reach, short, target=70).summaries[0].to_target
    assert (target.reached, target.of, target.seconds.value) == (1, 2, pytest.approx(2.0))
    target = compared(reach, short, target=90).summaries[0].to_target
    assert (target.reached, target.seconds) == (0, None)
    # The default is what every run reaches: 60 %.
    assert compared(reach, short).target == 60


# Warnings about times of runs.


@pytest.mark.parametrize(
    ("seeds", "changes", "warnings"),
    [
        (2, {}, {"few_seeds"}),
        (3, {"interference": BUSY}, {"disturbed"}),
        (3, {"blocks": changing(1, 0.9)}, {"unsettled"}),
        (1, {"interference": BUSY}, {"few_seeds", "disturbed"}),
    ],
)
def test_warnings_state_why_times_are_unreliable(seeds, changes, warnings):
    found = eighteen_times(range(seeds), **changes).pairs[0].warnings
    names = ("few_seeds", "disturbed", "unsettled")
    assert {name for name in names if getattr(found, name)} == warnings
    assert (found.seeds, found.runs) == (seeds, 2 * seeds)
    if "disturbed" in warnings:
        assert (found.disturbed, found.taken, found.cpus) == (1, 1.7, 2)


@pytest.mark.parametrize(
    ("others", "seconds", "disturbs"),
    [
        (0.09, 60.0, False),
        (0.11, 60.0, True),
        (0.3, 0.2, False),  # the error of the counters
        (0.3, 2.0, True),
    ],
)
def test_a_run_is_disturbed_by_more_than_a_twentieth_of_the_machine(others, seconds, disturbs):
    load = Interference(cpus=2, others=others, seconds=seconds)
    assert load.disturbs is made_record(interference=load).disturbed is disturbs
    assert made_record().disturbed is None


# Duels, whose times take precedence over those of runs.


def test_the_ratio_is_that_of_the_duel_whatever_the_order_of_its_configurations():
    for duel in (made_duel(3.0), made_duel(1 / 3, "faster", "torch", "jax")):
        (pair,) = with_duels(duel).pairs
        assert pair.ratio.value == pytest.approx(3.0)
        assert (pair.duel.day, pair.warnings) == ("2026-01-02", None)


def _changed(**changes):
    return [msgspec.structs.replace(each, **changes) for each in made_duel(3.0).configurations]


def _reconfigured(**changes):
    return [reconfigured(each, **changes) for each in made_duel(3.0).configurations]


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "interrupted"},
        {"results": [msgspec.structs.replace(made_duel(3.0).results[0], reason="control moved")]},
        {"inherited_variables": {"XLA_FLAGS": "--fast"}},
        {"machine": msgspec.structs.replace(MACHINE, cpu="Another CPU")},
        {"dataset": DatasetRecord("digits", "e" * 64)},
        {"configurations": _changed(variables={})},
        {"certificate": Certificate(certified=False)},
        {"configurations": _reconfigured(mode="compile")},
        {"configurations": _reconfigured(threads=1)},
        {"configurations": _changed(variables={"XLA_FLAGS": "x"})},
    ],
)
def test_a_duel_under_other_conditions_is_not_used(changes):
    (pair,) = with_duels(made_duel(3.0, **changes)).pairs
    assert pair.duel is None


# Settings: their tests and targets.


def test_tests_of_settings_are_paired_over_the_same_seeds_and_hold_jointly():
    """Scores move by two points from seed to seed, differences by a tenth."""
    two, four = compared(*setting_records("adam", "sgd")), COMPARISONS["settings: four"]()
    alone, joint = (
        next(pair.quality.difference for pair in each.pairs if pair.other.name == "sgd")
        for each in (two, four)
    )
    assert alone.value == joint.value == pytest.approx(-10, abs=0.2)
    assert alone.high - alone.low < joint.high - joint.low < 1.5
    assert two.summaries[0].quality.high - two.summaries[0].quality.low > 8
    other = compared(*setting_records("adam", "sgd", seeds=[5]))
    assert other.pairs[0].quality.difference.n == 1


def test_the_target_is_one_that_half_of_the_settings_reach():
    comparison = COMPARISONS["settings: four"]()
    assert comparison.target == 72  # the best of rmsprop is 72.5 %
    reached = {summary.name: summary.to_target for summary in comparison.summaries}
    assert reached["adam"].epochs.value == reached["rmsprop"].epochs.value == pytest.approx(3)
    assert [(reached[name].reached, reached[name].of) for name in ("sgd", "gd")] == [(0, 3), (0, 3)]
    assert compared(*setting_records("adam", "gd")).target == 22  # both of two


def test_undecided_settings_have_the_seeds_that_a_verdict_needs():
    undecided, worse = (pair.quality.seeds_needed for pair in COMPARISONS["settings: undecided"]().pairs)
    assert (undecided > 3, worse) == (True, None)
