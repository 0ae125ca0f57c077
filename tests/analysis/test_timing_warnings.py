"""Warnings about the times of runs, on which no headline may rest."""

import msgspec
import pytest
from support.made_runs import made_record, made_runs

from harness.analysis.comparison import compare
from harness.analysis.grouping import group_runs
from harness.machine.usage import Interference
from harness.report.numbers import BUSY_LEGEND
from harness.report.runs.sentences import headline, remarks, warning_text
from harness.report.runs.tables import comparison_table

BUSY = Interference(cpus=2, others=1.7, stolen=0.0, seconds=60.0)
_FAST, _SLOW = 0.005, 0.09


def _compared(seeds=3, **changes):
    """JAX 18 times as fast as torch; ``changes`` are of torch's record with seed 0."""
    records = [made_record("jax", seed, step=_FAST) for seed in range(seeds)]
    records += [made_record("torch", seed, step=_SLOW, **({} if seed else changes)) for seed in range(seeds)]
    (group,) = group_runs(made_runs(*records)).groups
    return compare(group)


def _changed(*factors):
    """Blocks of 0.9 s whose steps take these factors as long."""
    first, *others = made_record(step=_SLOW).blocks
    return [
        first,
        *(
            msgspec.structs.replace(block, seconds=block.seconds * factor)
            for block, factor in zip(others * 2, factors, strict=False)
        ),
    ]


@pytest.mark.parametrize(
    ("seeds", "changes", "reason"),
    [
        (1, {}, "1 run each"),
        (2, {}, "2 runs each"),
        (3, {"interference": BUSY}, "other programs used up to 1.7 of 2 CPUs in 1 of 6 runs"),
        (3, {"blocks": _changed(*[1.0] * 8, *[2.5] * 8)}, "step time varied by 150 % within a run"),
        (3, {"blocks": _changed(1, 0.9)}, "1 of 6 runs ended before their steps had settled"),
        (
            1,
            {"interference": BUSY},
            "1 run each; other programs used up to 1.7 of 2 CPUs in 1 of 2 runs",
        ),
    ],
)
def test_no_headline_states_the_ratio_of_unreliable_times(seeds, changes, reason):
    comparison = _compared(seeds, **changes)
    (pair,) = comparison.pairs
    assert pair.speed_verdict == "unreliable"
    assert warning_text(pair.warnings) == reason
    line = headline(comparison)
    assert f"Fastest: undecided between jax:eager and torch:eager ({reason})." in line
    assert "slower" not in line
    assert "×" not in line


def test_quiet_steady_runs_of_three_seeds_state_it():
    calm = Interference(cpus=2, others=0.02, stolen=0.0, seconds=60.0)
    comparison = _compared(interference=calm)
    assert "torch:eager 18.0× slower [18.0, 18.0]" in headline(comparison)


def test_times_of_disturbed_runs_are_marked_in_the_table():
    comparison = _compared(interference=BUSY)
    table = comparison_table([type("Group", (), {"comparison": comparison})()])
    fast, slow = ([cell if isinstance(cell, str) else cell.text for cell in row] for row in table.rows)
    assert not any("(busy)" in cell for cell in fast)
    assert [cell.endswith("(busy)") for cell in slow[3:5]] == [True, True]
    assert slow[2].endswith("unreliable")
    assert BUSY_LEGEND in table.legend


def test_a_note_says_how_much_the_step_time_varied():
    note, _ = remarks(_compared(blocks=_changed(*[1.0] * 8, *[2.5] * 8)))
    assert "step time varied by up to 150 % within a run" in note
    assert ": unreliable." in note


@pytest.mark.parametrize(
    ("load", "disturbs"),
    [
        (Interference(cpus=2, others=0.09, stolen=0.0), False),
        (Interference(cpus=2, others=0.11, stolen=0.0), True),
        (Interference(cpus=2, others=0.0, stolen=0.11), True),
        (Interference(cpus=2, others=0.3, stolen=0.0, seconds=0.2), False),  # the error of the counters
        (Interference(cpus=2, others=0.3, stolen=0.0, seconds=2.0), True),
    ],
)
def test_a_run_is_disturbed_by_more_than_a_twentieth_of_the_machine(load, disturbs):
    assert load.disturbs is disturbs
    assert made_record(interference=load).disturbed is disturbs
    assert made_record().disturbed is None
