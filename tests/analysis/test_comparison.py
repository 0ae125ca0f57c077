"""Speed, quality, time to a target and the Pareto front of comparable configurations, and the headline."""

import dataclasses

import msgspec
import pytest
from support.made_runs import made_record, made_runs, two_configurations

from harness.analysis.comparison import coincidence, compare
from harness.analysis.grouping import group_runs
from harness.certify.certificate import Certificate
from harness.report.runs.sentences import headline, quality_sentence, remarks
from harness.runs.record import Block, Phases
from harness_tasks.forecast import FORECAST

SEEDS = range(4)


def _only(runs):
    (group,) = group_runs(runs).groups
    return compare(group)


def test_the_headline_states_speed_and_equality():
    comparison = _only(two_configurations())
    (pair,) = comparison.pairs
    assert (pair.reference.name, pair.other.name) == ("jax:eager", "torch:eager")
    assert (pair.speed_verdict, pair.quality_verdict) == ("slower", "equal")
    assert pair.ratio.value == pytest.approx(2.0, rel=0.01)
    assert pair.ratio.low < pair.ratio.value < pair.ratio.high
    assert headline(comparison) == (
        "Both compute the same: test accuracy 60.1 to 60.2 %, identical curves. jax:eager is fastest. "
        "Step time relative to jax:eager: torch:eager +99.4 % [98.6, 100]. "
        "Test accuracy is equal (±1 point, 4 seeds, p < 0.001)."
    )
    assert "are from runs, not from a duel" in remarks(comparison)[-2]


def test_figures_agree_with_hand_computed_ones():
    fast, slow = _only(two_configurations()).summaries
    assert slow.step_seconds.value == pytest.approx(0.01)
    assert slow.samples_per_second == pytest.approx(6400)
    assert slow.flops_per_second == pytest.approx(6400 * 3 * 8_377_600)
    assert slow.quality.value == pytest.approx(60.2)
    assert slow.phases == pytest.approx(
        {"import": 1, "data": 0.5, "build": 0.2, "first step": 0.5, "steps": 0.5, "evaluation": 0.3}
    )
    assert slow.measured == {"peak_memory_bytes": 2**28}
    # One is faster, the other a tenth of a point better: both are on the front.
    assert (fast.on_front, slow.on_front) == (True, True)


def test_worse_and_slower_is_not_on_the_front():
    runs = made_runs(made_record("jax", accuracy=0.7, step=0.001), made_record("torch", accuracy=0.6))
    assert [summary.on_front for summary in _only(runs).summaries] == [True, False]


@pytest.mark.parametrize(("first_step", "expected"), [(0.5, False), (5.0, True)])
def test_a_configuration_with_slower_steps_that_finishes_first_is_mentioned(first_step, expected):
    before = {"import_seconds": 1.0, "data_seconds": 0.5, "build_seconds": 0.2, "evaluation_seconds": 0.3}
    phases = Phases(first_step_seconds=first_step, training_seconds=first_step + 0.5, **before)
    fast = [made_record("jax", seed, step=0.005, phases=phases) for seed in SEEDS]
    slow = [made_record("torch", seed, step=0.01) for seed in SEEDS]
    comparison = _only(made_runs(*fast, *slow))
    assert "jax:eager is fastest. Step time relative to jax:eager: torch:eager 2.0× slower" in headline(
        comparison
    )
    sooner = (
        "torch:eager is done sooner (import, data, build, training and scoring): 3 s; jax:eager takes 7.5 s."
    )
    assert (sooner in remarks(comparison)) is expected


@pytest.mark.parametrize(
    ("certificate", "pairs"), [(None, 0), (Certificate(certified=False), 0), (Certificate(certified=True), 1)]
)
def test_only_certified_work_is_compared(certificate, pairs):
    runs = made_runs(
        made_record("jax", certificate=certificate), made_record("torch", certificate=certificate)
    )
    comparison = _only(runs)
    assert len(comparison.pairs) == pairs
    assert ("not certified" in headline(comparison)) == (pairs == 0)


def test_the_fastest_is_the_fastest_on_the_seeds_of_both():
    steps = [0.0111, 0.011, 0.0109, 0.002, 0.002]
    jax = [made_record("jax", seed, step=step) for seed, step in enumerate(steps)]
    comparison = _only(made_runs(*jax, *[made_record("torch", seed, step=0.01) for seed in range(3)]))
    # The mean of all its runs makes jax the faster one, the three seeds that torch has as well do not.
    assert [summary.name for summary in comparison.summaries] == ["torch:eager", "jax:eager"]
    (pair,) = comparison.pairs
    assert (pair.reference.name, pair.ratio.n) == ("torch:eager", 3)
    assert pair.ratio.value == pytest.approx(1.1, rel=0.001)
    assert pair.ratio.low < pair.ratio.value < pair.ratio.high


def test_each_configuration_is_compared_with_the_fastest():
    steps = {"keras": 0.03, "jax": 0.005, "torch": 0.01}
    runs = made_runs(
        *(
            made_record(name, seed, step=step, accuracy=0.9 if name == "keras" else 0.5)
            for name, step in steps.items()
            for seed in SEEDS
        )
    )
    comparison = _only(runs)
    assert [summary.name for summary in comparison.summaries] == ["jax:eager", "torch:eager", "keras:eager"]
    assert [pair.quality_verdict for pair in comparison.pairs] == ["equal", "better"]
    line = headline(comparison)
    assert "torch:eager 2.0× slower [2.0, 2.0], keras:eager 6.0× slower [6.0, 6.0]" in line
    assert "equal for torch:eager, better for keras:eager (+40.0 [40.0, 40.0] points)" in line


def test_one_seed_makes_no_interval_and_no_verdict():
    comparison = _only(made_runs(made_record("jax", step=0.005), made_record("torch")))
    (pair,) = comparison.pairs
    assert (pair.ratio.low, pair.speed_verdict, pair.quality_verdict) == (None, "unreliable", "undecided")
    assert "(1 run each)" in headline(comparison)


def test_one_seed_with_another_score_states_the_difference():
    comparison = _only(made_runs(made_record("jax", step=0.005), made_record("torch", accuracy=0.46)))
    assert headline(comparison).endswith(
        "Test accuracy relative to jax:eager on the one seed run: −4.0 points for torch:eager."
    )


def test_runs_without_a_steady_step_have_no_ratio():
    first = [Block(1, 1, 64, 0.5)]
    comparison = _only(made_runs(made_record("jax", blocks=first), made_record("torch", blocks=first)))
    assert comparison.pairs[0].speed_verdict == "not measured"
    assert " Speed is not compared" in headline(comparison)


def test_step_times_with_a_wide_interval_make_no_winner():
    steps = [0.009, 0.011, 0.010, 0.012]
    fast = [made_record("jax", seed, step=steps[seed]) for seed in SEEDS]
    slow = [made_record("torch", seed, step=steps[-1 - seed]) for seed in SEEDS]
    comparison = _only(made_runs(*fast, *slow))
    assert comparison.pairs[0].speed_verdict == "undecided"
    assert "Fastest: undecided between torch:eager and jax:eager. Step time" in headline(comparison)


def test_a_relative_margin_is_a_share_of_the_score_of_each_other_configuration():
    """As the margin of gaps is. One sentence for all names the smallest and the largest."""
    task = msgspec.structs.replace(made_record().task, description=FORECAST.define(FORECAST.options()))
    errors = {"jax": 0.5, "torch": 0.6, "keras": 0.7}
    runs = made_runs(
        *(
            made_record(name, seed, step=0.01 * place, task=task, test_at_last={"loss": error + seed / 1e3})
            for place, (name, error) in enumerate(errors.items(), 1)
            for seed in range(2)
        )
    )
    comparison = _only(runs)
    margins = {pair.other.name: pair.quality.margin for pair in comparison.pairs}
    assert margins == pytest.approx({"torch:eager": 0.05 * 0.6005, "keras:eager": 0.05 * 0.7005})
    alike = [
        dataclasses.replace(pair, quality=pair.quality._replace(verdict="equal")) for pair in comparison.pairs
    ]
    sentence = quality_sentence(dataclasses.replace(comparison, pairs=alike))
    assert sentence == "Test mean squared error is equal (±0.03 to ±0.035, 2 seeds)."


def test_a_single_configuration_is_described():
    comparison = _only(made_runs(made_record("jax", 0), made_record("jax", 1), made_record("jax", 2)))
    assert comparison.pairs == []
    assert headline(comparison).endswith("accuracy 50.0 [50.0, 50.0] %, step time 10.0 [10.0, 10.0] ms.")


def test_time_to_a_target_counts_those_that_reach_it():
    reach = made_record("jax", 0, held_out=(2.0, 1.0))  # accuracies 0.5, then 0.75
    short = made_record("jax", 1, held_out=(2.0, 1.6))
    (group,) = group_runs(made_runs(reach, short)).groups
    (summary,) = compare(group, target=70).summaries
    target = summary.to_target
    assert (target.reached, target.of, target.seconds.value) == (1, 2, pytest.approx(2.0))
    (summary,) = compare(group, target=90).summaries
    assert (summary.to_target.reached, summary.to_target.seconds) == (0, None)
    # The default is what every run reaches: 60 %.
    assert compare(group).target == 60


def test_drift_within_runs():
    blocks = [made_record().blocks[0], *made_record().blocks[1:] * 2]
    rising = [
        msgspec.structs.replace(block, seconds=block.seconds * (1 + place / 10))
        for place, block in enumerate(blocks)
    ]
    (summary,) = _only(made_runs(made_record(blocks=rising))).summaries
    assert summary.drift == pytest.approx(2.45 / 1.45 - 1)


def test_configurations_without_a_common_seed_are_not_compared():
    comparison = _only(made_runs(made_record("jax", 0), made_record("torch", 1)))
    (pair,) = comparison.pairs
    assert (pair.speed_verdict, pair.quality.difference) == ("not measured", None)
    assert "common seed" in headline(comparison)


def test_a_headline_states_the_nearest_configurations_and_counts_the_others():
    runs = made_runs(*(made_record(f"b{n}", seed, step=0.001 * (n + 1)) for n in range(6) for seed in SEEDS))
    assert "b3:eager 4.0× slower [4.0, 4.0] and 2 more. Test accuracy is equal" in headline(_only(runs))


def _three(*curves, accuracies=(0.236, 0.2361, 0.2362), **changes):
    """Three configurations with one seed and these held-out losses; accuracies are 1 - loss / 4."""
    names = ("jax", "keras", "torch")
    return _only(
        made_runs(
            *(
                made_record(name, held_out=held_out, train=(2.0, 1.0), accuracy=accuracy, **changes)
                for name, held_out, accuracy in zip(names, curves, accuracies, strict=True)
            )
        )
    )


def test_certified_frameworks_that_coincide_are_said_to_compute_the_same():
    comparison = _three((2.0, 1.5), (2.0, 1.503), (2.001, 1.5))
    same = "All three compute the same: test accuracy 23.6 % in each, curves within 0.1 points."
    assert headline(comparison).startswith(f"{same} Fastest: undecided between")
    assert "undecided for" not in headline(comparison)


@pytest.mark.parametrize(
    "comparison",
    [
        _three((2.0, 1.5), (2.0, 1.3), (2.0, 1.5)),
        _three((2.0, 1.5), (2.0, 1.5), (2.0, 1.5), accuracies=(0.23, 0.25, 0.23)),
    ],
    ids=["curves", "scores"],
)
def test_those_that_part_are_not(comparison):
    assert coincidence(comparison) is None
    assert "the same" not in headline(comparison)
