"""Histories of made-up gates: small regressions are found, and none where there is none."""

import math

import msgspec
import numpy as np
import pytest
from support.made_gates import BASE, HEAD, failed, fixed_gates, made_benchmark, made_gate
from support.records import as_stored

from harness.core.documents.kinds import UnreadableRecord, encode_document
from harness.timing.engine.steps.findings import WorkComparison
from harness.timing.environments.suite import Benchmark
from harness.timing.gate.metrics import ratios_behind
from harness.timing.gate.reasons import Reason
from harness.timing.gate.record import GATES, QualityResult
from harness.timing.history.change_points import Ratio, level_trend
from harness.timing.history.series import AloneWithBase, DamagedPairs, NoCommits, NotEnded, gaps, read_history
from harness.timing.history.words import marks_of

REGRESSIONS = (8, 16, 24)
LEVELS = [1.03 ** sum(place >= at for at in REGRESSIONS) for place in range(30)]


def step_series(gates, **options):
    return [series for series in read_history(gates, **options).series if series.metric == "step"]


def test_three_regressions_of_3_percent_are_found():
    (series,) = step_series(fixed_gates(LEVELS, noise=0.005))
    assert len(series.points) == 30
    steps = series.steps
    assert [step.at for step in steps] == pytest.approx(REGRESSIONS, abs=1)
    assert [step.change.value for step in steps] == pytest.approx([1.03] * 3, abs=0.01)
    assert all(step.change.low > 1 for step in steps)
    assert series.total.around(1.03**3)


def test_nothing_is_found_where_nothing_changed():
    history = read_history(fixed_gates([1.0] * 30, noise=0.005))
    assert len(history.series) == 3
    assert [series.steps for series in history.series if series.metric == "step"] == [[]]


def test_noise_alone_shows_a_step_in_few_series():
    chance = np.random.default_rng(0)
    shown = 0
    for _ in range(60):
        ratios = [Ratio(float(log), 8, 0.01 * math.sqrt(8)) for log in chance.normal(0, 0.01, 30)]
        shown += bool(level_trend(ratios, 0.002).steps)
    assert shown <= 8  # 5 % of 60 are 3


def test_ratio_and_spread_of_a_point_are_of_one_kind():
    """Made-up gates hold plain means, as older records do."""
    (gate,) = fixed_gates([1.1], noise=0.2)
    (benchmark,) = gate.benchmarks
    result = next(result for result in benchmark.metrics if result.metric == "step")
    behind, (series,) = ratios_behind(benchmark, result), step_series([gate])
    point = series.points[0].ratio
    assert (point.log, point.spread) == pytest.approx((behind.mean, behind.spread))
    assert point.log != pytest.approx(math.log(result.ratio.value), abs=0.001)


def with_batch_size(benchmark, size):
    benchmark.configurations = [
        msgspec.structs.replace(each, batch_size=size) for each in benchmark.configurations
    ]


@pytest.mark.parametrize("work", ["batch size", "option"])
def test_other_work_is_marked_and_not_mixed(work):
    gates = fixed_gates([1.0] * 6)
    for gate in gates[3:]:
        (benchmark,) = gate.benchmarks
        if work == "option":
            benchmark.asked = msgspec.structs.replace(benchmark.asked, options={"width": 2.0})
        else:
            with_batch_size(benchmark, 128)
    (series,) = step_series(gates)
    assert [len(stretch.points) for stretch in series.stretches] == [3, 3]
    mark = "width 0.5 → 2.0" if work == "option" else "batch size 64 → 128"
    assert [(point.gate, text) for point, text in marks_of(series)] == [
        (gates[3].id, f"{mark}, not connected")
    ]


def test_a_new_option_of_the_task_is_still_the_same_work():
    """Its default changes nothing, and its cost is a regression like any other."""
    gates = fixed_gates([1.0] * 8 + [1.03] * 8, noise=0.003)
    asked = Benchmark(name="cnn", backend="torch", task="cnn", options={"width": 0.5})
    for number, gate in enumerate(gates):
        gate.benchmarks[0].asked = asked
        gate.benchmarks[0].options = {"width": 0.5, **({"smoothing": 0.0} if number >= 8 else {})}
    (series,) = step_series(gates)
    assert [step.at for step in series.steps] == [8]


def with_step(gate, **changes):
    """The gate, the result of whose step has these changes."""
    (benchmark,) = gate.benchmarks
    first, *others = benchmark.metrics
    benchmark.metrics = [msgspec.structs.replace(first, **changes), *others]


@pytest.mark.parametrize("changes", [{"verdict": "INVALID"}, {"ratio": None}])
def test_a_metric_that_is_invalid_or_has_no_ratio_is_left_out(changes):
    gates = fixed_gates([1.0, 1.0, 2.0, 1.0])
    with_step(gates[2], **changes)
    (series,) = step_series(gates)
    assert [point.gate for point in series.points] == [gates[place].id for place in (0, 1, 3)]
    others = {series.metric: len(series.points) for series in read_history(gates).series}
    assert others == {"step": 3, "first step": 4, "memory": 4}


def test_a_series_goes_on_over_a_change_of_base_that_is_not_connected():
    """The old base is 10 % faster: mixed, the levels would show a gain that never was."""
    before = fixed_gates([1.1] * 8, noise=0.005, base="a" * 40)
    after = fixed_gates([1.0] * 8, noise=0.005, base="b" * 40, start=8)
    (series,) = step_series([*before, *after])
    assert ([len(each.points) for each in series.stretches], series.latest) == ([8, 8], True)
    assert (series.steps, series.start, len(series.connected)) == ([], "b" * 10, 1)
    assert [text for _, text in marks_of(series)] == [f"base {'b' * 10}, not connected"]
    assert series.total.value == pytest.approx(1.0, abs=0.01)


def test_a_base_that_was_a_head_connects_the_levels():
    """Each change alone is against its own base; the total is against the first."""
    before = fixed_gates([1.0] * 4 + [1.1] * 4, noise=0.005, base="a" * 40)
    after = fixed_gates([1.0] * 4 + [1.05] * 4, noise=0.005, base=before[-1].head.commit, start=8)
    (series,) = step_series([*before, *after])
    assert [step.at for step in series.steps] == [4, 12]
    assert (series.start, len(series.connected)) == ("a" * 10, 2)
    assert series.total.around(1.1 * 1.05)
    assert series.total.low > 1.13


def test_a_base_that_moves_with_every_gate_shows_each_change_where_it_came():
    gates, base = [], "a" * 40
    for number, ratio in enumerate([1.0, 1.1, 1.0, 1.0]):
        gates += fixed_gates([ratio], noise=0.005, base=base, start=number)
        base = gates[-1].head.commit
    (series,) = step_series(gates)
    assert ([step.at for step in series.steps], len(series.connected)) == ([1], 4)
    assert series.total.around(1.1)


def test_gates_of_two_bases_may_alternate():
    """As in a branch whose every push is compared with a release and with a nightly build."""
    release = fixed_gates(LEVELS, noise=0.005, base="a" * 40)
    nightly = fixed_gates([level / LEVELS[4] for level in LEVELS], noise=0.005, base="b" * 40)
    gates = []
    for number, both in enumerate(zip(release, nightly, strict=True)):
        for gate, hour in zip(both, (12, 13), strict=True):
            began = f"2026-{1 + number // 28:02d}-{1 + number % 28:02d}T{hour}:00:00+00:00"
            gates.append(msgspec.structs.replace(gate, id=f"{began[:13]}-gate", started_at=began))
    series = step_series(gates)
    assert [(len(one.points), len(one.steps), one.latest) for one in series] == [(30, 3, True)] * 2
    later = "2026-06-01T00:00:00+00:00"
    again = msgspec.structs.replace(gates[4], id=f"{later[:13]}-gate", started_at=later)
    assert [one.latest for one in step_series([*gates, again])] == [True, True]


def test_a_gate_that_is_run_again_ends_no_series():
    gates = fixed_gates([1.0] * 5)
    again = msgspec.structs.replace(gates[1], id="20260301-again", started_at="2026-03-01T00:00:00+00:00")
    (series,) = step_series([*gates, again])
    assert (len(series.points), series.latest) == (5, True)


def test_gates_alone_with_their_base_are_one_series():
    gates = [gate for number in range(3) for gate in fixed_gates([1.0], base=f"{number}" * 40, start=number)]
    history = read_history(gates)
    assert {(len(series.points), series.latest) for series in history.series} == {(3, True)}
    assert history.left_out == []


def test_a_gate_with_another_base_between_those_of_a_series_is_left_out_and_counted():
    gates = fixed_gates([1.0] * 4)
    gates[1] = fixed_gates([1.0], base="e" * 40, start=1)[0]
    history = read_history(gates)
    assert {len(series.points) for series in history.series} == {3}
    assert history.left_out == [AloneWithBase(gates=1, ended=4)]


def test_values_that_are_not_compared_are_other_work():
    gates = fixed_gates([1.0] * 6)
    for gate in gates[3:]:
        values = QualityResult(verdict="PASS", values=WorkComparison(outcome="not asked"))
        gate.benchmarks[0].quality = values
    (series,) = step_series(gates)
    assert [text for _, text in marks_of(series)] == ["mathematics as in base → not compared, not connected"]


def test_gates_without_commits_are_left_out_unless_their_base_is_the_same():
    base, head = (msgspec.structs.replace(environment, commit=None) for environment in (BASE, HEAD))
    gates = [msgspec.structs.replace(each, base=base, head=head) for each in fixed_gates(LEVELS, noise=0.004)]
    history = read_history(gates)
    assert (history.series, history.left_out) == ([], [NoCommits(gates=30, ended=30)])
    (series,) = step_series(gates, same_base=True)
    assert len(series.steps) == 3
    assert series.start == f"the base of {gates[0].id}"


def test_same_base_joins_no_gates_whose_bases_are_known_to_differ():
    before, after = fixed_gates([1.1] * 8, base="a" * 40), fixed_gates([1.0] * 8, base="b" * 40, start=8)
    (series,) = step_series([*before, *after], same_base=True)
    assert [len(stretch.points) for stretch in series.stretches] == [8, 8]


@pytest.mark.parametrize("kind", [DamagedPairs, NotEnded])
def test_a_gate_that_is_damaged_or_did_not_end_is_named(kind):
    gates = fixed_gates([1.0] * 4)
    if kind is NotEnded:
        gates[1].status = "interrupted"
    else:
        with_batch_size(gates[1].benchmarks[0], 0)
    history = read_history(gates)
    assert {len(series.points) for series in history.series} == {3}
    (exclusion,) = history.left_out
    assert (type(exclusion), exclusion.gate) == (kind, gates[1].id)


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


def test_a_benchmark_that_is_no_longer_in_the_suite_is_an_open_gap():
    gates = gates_of(["cnn", "rnn"], ["cnn", "rnn"], ["cnn"], ["cnn"])
    (gap,) = gaps(gates)
    assert (gap.benchmark, gap.metric, gap.gates, gap.open, gap.reasons) == ("rnn", None, 2, True, [])
    assert (gap.first, gap.last) == (gates[2], gates[3])


def test_a_benchmark_that_was_away_for_a_while_or_failed():
    gates = gates_of(["cnn", "rnn"], ["cnn"], ["cnn", "rnn"], ["cnn", "rnn"])
    crash = failed("exited with code 9")
    gates[3].benchmarks[0] = made_benchmark("cnn", metrics=[], verdict="FAIL", reasons=[crash])
    away, ended = sorted(gaps(gates), key=lambda gap: gap.open)
    assert (away.benchmark, away.first, away.last, away.open) == ("rnn", gates[1], gates[1], False)
    assert (ended.benchmark, ended.open, ended.reasons) == ("cnn", True, [crash])


def test_a_metric_that_is_no_longer_judged_or_is_invalid():
    gates = fixed_gates([1.0] * 5)
    implausible = Reason(kind="not trusted", text="too fast")
    for gate in gates[3:]:
        step, first_step, _memory = gate.benchmarks[0].metrics
        invalid = msgspec.structs.replace(step, verdict="INVALID", reasons=[implausible])
        gate.benchmarks[0].metrics = [invalid, first_step]
    step, memory = sorted(gaps(gates), key=lambda gap: gap.metric, reverse=True)
    assert (step.metric, step.first, step.gates, step.reasons) == ("step", gates[3], 2, [implausible])
    assert (memory.metric, memory.first, memory.gates, memory.reasons) == ("memory", gates[3], 2, [])
    latest = {series.metric: series.latest for series in read_history(gates).series}
    assert latest == {"step": False, "first step": True, "memory": False}


def test_two_suites_in_one_folder_are_kept_apart():
    gates = gates_of(["cnn"], ["rnn"], ["cnn"], ["rnn"])
    for gate in gates[1::2]:
        gate.suite = "nightly.toml"
    assert gaps(gates) == []


def test_a_benchmark_that_was_added_later_was_not_missing_before():
    assert gaps(gates_of(["cnn"], ["cnn", "rnn"])) == []
