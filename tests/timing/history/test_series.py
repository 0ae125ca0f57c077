"""Histories of made-up gates: small regressions are found, and none where there is none."""

import msgspec
import numpy as np
import pytest
from support.made_gates import BASE, HEAD, failed, fixed_gates, made_benchmark, made_gate
from support.records import as_stored

from harness.core.documents.kinds import UnreadableRecord, encode_document
from harness.errors import UsageError
from harness.timing.engine.steps.findings import WorkComparison
from harness.timing.environments.suite import Benchmark
from harness.timing.gate.reasons import Reason
from harness.timing.gate.record import GATES, QualityResult
from harness.timing.history.findings import find_history, gaps
from harness.timing.history.levels import find_levels, penalty

REGRESSIONS = (8, 16, 24)
LEVELS = [1.03 ** sum(place >= at for at in REGRESSIONS) for place in range(30)]


def step_series(gates, **options):
    (series,) = find_history(gates, metric="step", **options).series
    return series


def marks(series):
    return [point.mark for point in series.points if point.mark]


def test_three_regressions_of_3_percent_are_found():
    series = step_series(fixed_gates(LEVELS, noise=0.005))
    assert len(series.points) == 30
    assert list(series.changes) == pytest.approx(REGRESSIONS, abs=1)
    assert [size.value for size in series.changes.values()] == pytest.approx([1.03] * 3, abs=0.01)
    assert all(size.low > 1 for size in series.changes.values())
    assert series.total.around(1.03**3)


def test_nothing_is_found_where_nothing_changed():
    found = find_history(fixed_gates([1.0] * 30, noise=0.005))
    assert [bool(series.changes) for series in found.series] == [False] * 3


def test_noise_alone_shows_a_step_in_few_series():
    chance, noise = np.random.default_rng(0), np.full(30, 0.01)
    least = penalty(30, 30 * 7)
    shown = [bool(find_levels(chance.normal(0, 0.01, 30), noise, least).changes) for _ in range(60)]
    assert sum(shown) <= 8  # 5 % of 60 are 3


def with_batch_size(benchmark, size):
    benchmark.configurations = [
        msgspec.structs.replace(each, batch_size=size) for each in benchmark.configurations
    ]


@pytest.mark.parametrize(
    ("work", "mark"),
    [
        ("option", "width 0.5 → 2.0"),
        ("batch size", "batch size 64 → 128"),
        ("values", "mathematics as in base → not compared"),
    ],
)
def test_other_work_is_marked_and_not_mixed(work, mark):
    gates = fixed_gates([1.0] * 6)
    for gate in gates[3:]:
        (benchmark,) = gate.benchmarks
        if work == "option":
            benchmark.asked = msgspec.structs.replace(benchmark.asked, options={"width": 2.0})
        elif work == "batch size":
            with_batch_size(benchmark, 128)
        else:
            benchmark.quality = QualityResult(verdict="PASS", values=WorkComparison(outcome="not asked"))
    series = step_series(gates)
    assert series.points[3].mark == f"{mark}, not connected"
    assert len(marks(series)) == 1


def test_a_new_option_of_the_task_is_still_the_same_work():
    """Its default changes nothing, and its cost is a regression like any other."""
    gates = fixed_gates([1.0] * 8 + [1.03] * 8, noise=0.003)
    asked = Benchmark(name="cnn", backend="torch", task="cnn", options={"width": 0.5})
    for number, gate in enumerate(gates):
        gate.benchmarks[0].asked = asked
        gate.benchmarks[0].options = {"width": 0.5, **({"smoothing": 0.0} if number >= 8 else {})}
    assert list(step_series(gates).changes) == [8]


@pytest.mark.parametrize("changes", [{"verdict": "INVALID"}, {"ratio": None}])
def test_a_metric_that_is_invalid_or_has_no_ratio_is_left_out(changes):
    gates = fixed_gates([1.0, 1.0, 2.0, 1.0])
    first, *others = gates[2].benchmarks[0].metrics
    gates[2].benchmarks[0].metrics = [msgspec.structs.replace(first, **changes), *others]
    counts = {series.metric: len(series.points) for series in find_history(gates).series}
    assert counts == {"step": 3, "first step": 4, "memory": 4}


def test_a_series_goes_on_over_a_change_of_base_that_is_not_connected():
    """The old base is 10 % faster: mixed, the levels would show a gain that never was."""
    before = fixed_gates([1.1] * 8, noise=0.005, base="a" * 40)
    after = fixed_gates([1.0] * 8, noise=0.005, base="b" * 40, start=8)
    for options in {}, {"same_base": True}:
        series = step_series([*before, *after], **options)
        assert (series.changes, series.start, series.latest) == ({}, "b" * 10, True)
        assert marks(series) == [f"base {'b' * 10}, not connected"]
        assert series.total.value == pytest.approx(1.0, abs=0.01)


def test_a_base_that_was_a_head_connects_the_levels():
    """Each change alone is against its own base; the total is against the first."""
    before = fixed_gates([1.0] * 4 + [1.1] * 4, noise=0.005, base="a" * 40)
    after = fixed_gates([1.0] * 4 + [1.05] * 4, noise=0.005, base=before[-1].head.commit, start=8)
    series = step_series([*before, *after])
    assert (list(series.changes), series.start) == ([4, 12], "a" * 10)
    assert series.total.around(1.1 * 1.05)
    assert series.total.low > 1.13


def test_a_base_that_moves_with_every_gate_shows_each_change_where_it_came():
    gates, base = [], "a" * 40
    for number, ratio in enumerate([1.0, 1.1, 1.0, 1.0]):
        gates += fixed_gates([ratio], noise=0.005, base=base, start=number)
        base = gates[-1].head.commit
    series = step_series(gates)
    assert (list(series.changes), series.start) == ([1], "a" * 10)
    assert series.total.around(1.1)


def test_a_gate_with_another_base_or_made_again_does_not_part_a_series():
    gates = fixed_gates(LEVELS, noise=0.005)
    other = fixed_gates([1.3], base="e" * 40, start=4)
    later = "2026-03-01T00:00:00+00:00"
    again = msgspec.structs.replace(gates[1], id="20260301-again", started_at=later)
    series = step_series([*gates, *other, again])
    assert (len(series.points), len(marks(series)), len(series.changes)) == (31, 1, 3)
    assert (series.start, series.latest) == ("f" * 10, True)


def test_gates_without_commits_are_left_out_unless_their_base_is_the_same():
    base, head = (msgspec.structs.replace(environment, commit=None) for environment in (BASE, HEAD))
    gates = [msgspec.structs.replace(each, base=base, head=head) for each in fixed_gates(LEVELS, noise=0.004)]
    with pytest.raises(UsageError, match=r"30 gates, .*: no commits are recorded"):
        find_history(gates)
    series = step_series(gates, same_base=True)
    assert (len(series.changes), series.start) == (3, f"the base of {gates[0].id}")


@pytest.mark.parametrize("kind", ["the pairs are damaged", "the status is interrupted"])
def test_a_gate_that_is_damaged_or_did_not_end_is_named(kind):
    gates = fixed_gates([1.0] * 4)
    if kind == "the status is interrupted":
        gates[1].status = "interrupted"
    else:
        with_batch_size(gates[1].benchmarks[0], 0)
    found = find_history(gates)
    assert {len(series.points) for series in found.series} == {3}
    (left_out,) = found.left_out
    assert left_out.startswith(f"1 gate, {gates[1].id}: {kind}")


@pytest.mark.parametrize("changes", [{"turn": 99}, {"configuration": 7}])
def test_a_gate_with_an_incomplete_turn_is_not_readable(changes, tmp_path):
    (gate,) = fixed_gates([1.0])
    document = msgspec.json.decode(encode_document(gate))
    document["benchmarks"][0]["look"][0]["blocks"][0] |= changes
    path = tmp_path / "gate.json"
    path.write_bytes(as_stored(document))
    with pytest.raises(UnreadableRecord, match="not of the same configurations"):
        GATES.read(path)


def gates_of(*names_of_each):
    return [
        made_gate(*(made_benchmark(name) for name in names), number=number)
        for number, names in enumerate(names_of_each)
    ]


def test_a_benchmark_that_was_away_for_a_while_or_failed_is_a_gap():
    gates = gates_of(["cnn", "rnn"], ["cnn"], ["cnn", "rnn"], ["cnn", "rnn", "new"])
    crash = failed("exited with code 9")
    gates[3].benchmarks[0] = made_benchmark("cnn", metrics=[], verdict="FAIL", reasons=[crash])
    away, ended = sorted(gaps(gates), key=lambda gap: gap.open)
    assert away == ("rnn", None, [gates[1].id], False, "not in the suite")
    assert ended == ("cnn", None, [gates[3].id], True, str(crash))


def test_a_metric_that_is_no_longer_judged_or_is_invalid_is_a_gap():
    gates = fixed_gates([1.0] * 5)
    implausible = Reason(kind="not trusted", text="too fast")
    for gate in gates[3:]:
        step, first_step, _memory = gate.benchmarks[0].metrics
        invalid = msgspec.structs.replace(step, verdict="INVALID", reasons=[implausible])
        gate.benchmarks[0].metrics = [invalid, first_step]
    step, memory = sorted(gaps(gates), key=lambda gap: gap.metric, reverse=True)
    ids = [gate.id for gate in gates[3:]]
    assert step == ("cnn", "step", ids, True, str(implausible))
    assert memory == ("cnn", "memory", ids, True, "it has no limit")
    latest = {series.metric: series.latest for series in find_history(gates).series}
    assert latest == {"step": False, "first step": True, "memory": False}


def test_two_suites_in_one_folder_are_kept_apart():
    gates = gates_of(["cnn"], ["rnn"], ["cnn"], ["rnn"])
    for gate in gates[1::2]:
        gate.suite = "nightly.toml"
    assert gaps(gates) == []
