"""Histories of made gates: slips that each pass are seen, where nothing slipped nothing is told."""

import json
import math
import re

import msgspec
import numpy as np
import pytest
from support.made_gates import (
    BASE,
    HEAD,
    chained_gates,
    commit,
    fixed_gates,
    made_benchmark,
    made_gate,
    save,
)
from support.records import make_record

from harness.gate.gaps import gaps
from harness.gate.history import read_history
from harness.gate.pair_ratios import ratios_behind
from harness.gate.suite import Benchmark
from harness.report.history import history_json, history_markdown, history_text
from harness.report.history_words import HistoryFindings, gap_sentence, sentence
from harness.runs import record as records
from harness.stats.change_points import Ratio, level_trend

SLIPS = (8, 16, 24)
LEVELS = [1.03 ** sum(place >= slip for slip in SLIPS) for place in range(30)]
RATIOS = [1.03 if place in SLIPS else 1.0 for place in range(30)]


def step_series(gates, rule=None):
    return [one for one in read_history(gates, rule).series if one.metric == "step"]


def told(gates):
    return HistoryFindings(read_history(gates), gaps(gates), gates)


@pytest.mark.parametrize(
    ("gates", "within"),
    [(fixed_gates(LEVELS, noise=0.005), 1), (chained_gates(RATIOS, noise=0.003), 0)],
    ids=["fixed", "chained"],
)
def test_three_slips_of_3_percent_are_seen(gates, within):
    (series,) = step_series(gates)
    assert len(series.points) == 30
    steps = series.trend.steps
    assert [step.at for step in steps] == pytest.approx(SLIPS, abs=within)
    assert [step.change.value for step in steps] == pytest.approx([1.03] * 3, abs=0.01)
    assert all(step.change.low > 1 for step in steps)
    assert series.trend.total.around(1.03**3)


def test_records_of_before_pairs_were_weighted_are_taken_in_like_those_of_now():
    """Made gates tell plain means, as older ones do: ratio and spread must be of one kind."""
    (gate,) = fixed_gates([1.1], noise=0.2)
    (benchmark,) = gate.benchmarks
    result = next(one for one in benchmark.metrics if one.metric == "step")
    behind, (series,) = ratios_behind(benchmark, result), step_series([gate])
    known = series.points[0].ratio
    assert (known.log, known.spread) == pytest.approx((behind.mean, behind.spread))
    assert known.log != pytest.approx(math.log(result.ratio), abs=0.001)


@pytest.mark.parametrize("made", [fixed_gates, chained_gates])
def test_nothing_is_told_where_nothing_slipped(made):
    history = read_history(made([1.0] * 30, noise=0.005))
    assert len(history.series) == 3
    assert [one.trend.steps for one in history.series if one.metric == "step"] == [[]]
    assert all("no change over 30 gates" in sentence(one) for one in history.series if not one.trend.steps)


def test_noise_alone_shows_a_step_in_few_series():
    chance = np.random.default_rng(0)
    found = 0
    for _ in range(60):
        made = [Ratio(float(log), 8, 0.01 * math.sqrt(8)) for log in chance.normal(0, 0.01, 30)]
        found += bool(level_trend(made, 0.002).steps)
    assert found <= 8  # 5 % of 60 are 3


def test_a_gain_is_told_too():
    (series,) = step_series(fixed_gates([1.0] * 10 + [0.9] * 10, noise=0.005))
    assert re.search(r"cnn, step: −1\d\.\d % \[−1\d\.\d, −\d+\.\d\] at commit ", sentence(series))


def test_the_sentence_has_each_slip_with_its_commit_and_the_whole():
    (series,) = step_series(fixed_gates(LEVELS, noise=0.002))
    text = sentence(series)
    change = r"\+\d+\.\d % \[\d+\.\d, \d+\.\d\]"
    slips = ", ".join(rf"{change} at commit {commit(slip)[:10]} \(2026-01-{slip + 1:02}\)" for slip in SLIPS)
    assert re.fullmatch(rf"cnn, step: {slips}, {change} in all since f{{10}} \(30 gates\)", text), text
    assert float(re.search(r"\+(\S+) % \[[^\]]*\] in all", text)[1]) == pytest.approx(9.3, abs=0.7)


def test_one_gate_is_no_history():
    (series,) = step_series(fixed_gates([1.0]))
    assert re.fullmatch(r"cnn, step: \S+ % \[.*\] since f{10}, in the only gate so far", sentence(series))


def changed_benchmark(gate, change):
    return msgspec.structs.replace(gate, benchmarks=[change(one) for one in gate.benchmarks])


def test_other_batches_are_other_work():
    def larger(benchmark):
        sides = [msgspec.structs.replace(side, batch_size=128) for side in benchmark.sides]
        return msgspec.structs.replace(benchmark, sides=sides)

    gates = fixed_gates([1.0] * 6)
    gates[3:] = [changed_benchmark(gate, larger) for gate in gates[3:]]
    assert [len(one.points) for one in step_series(gates)] == [3, 3]


def test_what_a_gate_did_not_believe_is_no_level():
    def unsound(benchmark):
        metrics = [
            msgspec.structs.replace(one, verdict="INCONCLUSIVE", unsound=True) for one in benchmark.metrics
        ]
        return msgspec.structs.replace(benchmark, metrics=metrics)

    gates = fixed_gates([1.0, 1.0, 2.0, 1.0])
    gates[2] = changed_benchmark(gates[2], unsound)
    (series,) = step_series(gates)
    assert [point.gate for point in series.points] == [gates[place].id for place in (0, 1, 3)]


def test_gates_that_do_not_hang_together_are_not_joined():
    gates = fixed_gates([1.0] * 5) + fixed_gates([1.5] * 5, start=5, base="e" * 40)
    stretches = step_series(gates)
    assert [len(one.points) for one in stretches] == [5, 5]
    assert [one.latest for one in stretches] == [False, True]
    assert not any(one.trend.steps for one in stretches)
    assert ", until 2026-01-05: no change" in sentence(stretches[0])


def test_a_gate_that_is_run_again_ends_no_series():
    gates = fixed_gates([1.0] * 5)
    again = msgspec.structs.replace(gates[1], id="20260301-again", started_at="2026-03-01T00:00:00+00:00")
    (series,) = step_series([*gates, again])
    assert (len(series.points), series.latest) == (5, True)


def test_a_gate_whose_pairs_are_damaged_is_named():
    gates = fixed_gates([1.0] * 4)
    (benchmark,) = gates[1].benchmarks
    pairs = [msgspec.structs.replace(pair, processes=[]) for pair in benchmark.look]
    gates[1].benchmarks = [msgspec.structs.replace(benchmark, look=pairs)]
    history = read_history(gates)
    assert {len(one.points) for one in history.series} == {3}
    assert history.left_out[0].startswith(f"{gates[1].id}: its pairs are damaged")


@pytest.mark.parametrize("hours", [(12, 13), (13, 12)], ids=["release first", "commit before first"])
def test_gates_against_a_release_and_against_the_commit_before_may_take_turns(hours):
    """As a branch has them whose every push is held against both."""
    pairs = zip(fixed_gates(LEVELS, noise=0.005, start=1), chained_gates(RATIOS, noise=0.003), strict=True)
    gates = []
    for number, both in enumerate(pairs):
        for gate, hour in zip(both, hours, strict=True):
            began = f"2026-{1 + number // 28:02d}-{1 + number % 28:02d}T{hour}:00:00+00:00"
            gates.append(msgspec.structs.replace(gate, id=f"{began[:13]}-gate", started_at=began))
    long = [one for one in step_series(gates) if len(one.points) > 1]
    fixed, chained = sorted(long, key=lambda one: one.rule, reverse=True)
    # The first of a series may be taken for the beginning of the other, before anything tells them apart.
    assert [one.rule for one in (fixed, chained)] == ["fixed", "chained"]
    assert all(29 <= len(one.points) <= 31 for one in (fixed, chained))
    assert [len(one.trend.steps) for one in (fixed, chained)] == [3, 3]
    assert fixed.latest
    assert chained.latest
    later = "2026-06-01T00:00:00+00:00"
    for number in (4, 5):  # an older gate of either kind is run again
        again = msgspec.structs.replace(gates[number], id=f"{later[:13]}-gate", started_at=later)
        series = [one for one in step_series([*gates, again]) if len(one.points) > 1]
        assert [one.latest for one in series] == [True, True]


def test_a_task_that_gains_an_option_is_still_the_same_work():
    """Its default changes nothing, and what that cost is a slip like any other."""
    gates = fixed_gates([1.0] * 8 + [1.03] * 8, noise=0.003)
    asked = Benchmark(name="cnn", backend="torch", task="cnn", options={"width": 0.5})
    for number, gate in enumerate(gates):
        gate.benchmarks[0].asked = asked
        gate.benchmarks[0].options = {"width": 0.5, **({"smoothing": 0.0} if number >= 8 else {})}
    (series,) = step_series(gates)
    assert [step.at for step in series.trend.steps] == [8]


def test_a_gate_missing_from_a_chain_begins_another_stretch():
    gates = chained_gates([1.0] * 8)
    del gates[4]
    assert [(one.rule, len(one.points)) for one in step_series(gates)] == [("chained", 4), ("chained", 3)]


def test_other_work_under_the_same_name_is_another_series():
    before, after = fixed_gates([1.0] * 4), fixed_gates([1.3] * 4, start=4)
    for gate in after:
        gate.benchmarks[0].options = {"width": 2.0}
    assert [len(one.points) for one in step_series(before + after)] == [4, 4]


def without_commits(gates):
    base, head = (msgspec.structs.replace(side, commit=None) for side in (BASE, HEAD))
    return [msgspec.structs.replace(gate, base=base, head=head) for gate in gates]


def test_gates_without_commits_need_to_be_told_how_they_hang_together():
    gates = without_commits(fixed_gates(LEVELS, noise=0.004))
    history = read_history(gates)
    assert history.series == []
    assert "--against parent or --against fixed" in history.left_out[0]
    (series,) = step_series(gates, "fixed")
    assert len(series.trend.steps) == 3
    assert f"at gate {gates[SLIPS[0]].id} (" in sentence(series)
    (chained,) = step_series(without_commits(chained_gates(RATIOS, noise=0.003)), "chained")
    assert [step.at for step in chained.trend.steps] == list(SLIPS)


def test_what_cannot_be_used_is_told():
    gates = fixed_gates([1.0] * 5)
    gates[1].status = "interrupted"
    gates[2].against = "stored baseline"
    history = read_history(gates)
    assert {len(one.points) for one in history.series} == {3}
    assert [line.partition(": ")[2] for line in history.left_out] == [
        "it ended as interrupted",
        "its base is a stored baseline",
    ]


def test_a_metric_without_a_ratio_is_passed_over():
    gates = fixed_gates([1.0] * 4)
    first, *others = gates[2].benchmarks[0].metrics
    gates[2].benchmarks[0].metrics = [msgspec.structs.replace(first, ratio=None), *others]
    assert {one.metric: len(one.points) for one in read_history(gates).series} == {
        "step": 3,
        "first step": 4,
        "memory": 4,
    }


def gates_of(*names_of_each):
    return [
        made_gate(*(made_benchmark(name) for name in names), number=number)
        for number, names in enumerate(names_of_each)
    ]


def test_a_benchmark_that_vanished_is_told():
    gates = gates_of(["cnn", "rnn"], ["cnn", "rnn"], ["cnn"], ["cnn"])
    (gap,) = gaps(gates)
    assert (gap.benchmark, gap.gates, gap.open) == ("rnn", 2, True)
    assert gap_sentence(gap).startswith("rnn is not in the suite since 2026-01-03, 2 gates")


def test_a_benchmark_that_was_away_or_failed_is_told():
    gates = gates_of(["cnn", "rnn"], ["cnn"], ["cnn", "rnn"], ["cnn", "rnn"])
    gates[3].benchmarks[0] = made_benchmark("cnn", metrics=[], verdict="FAIL", reason="head crashed.")
    away, failed = sorted(gaps(gates), key=lambda gap: gap.open)
    assert gap_sentence(away) == f"rnn was not in the suite in 1 gate from {gates[1].id} to {gates[1].id}"
    assert "cnn is not measured since 2026-01-04" in gap_sentence(failed)
    assert ": head crashed; slips of it are not seen" in gap_sentence(failed)


def test_a_metric_that_is_not_judged_or_not_believed_any_more_is_told():
    gates = gates_of(*[["cnn"]] * 5)
    for gate in gates[3:]:
        step, first_step, _memory = gate.benchmarks[0].metrics
        unbelieved = msgspec.structs.replace(step, unsound=True, reason="head saves 60% of the time")
        gate.benchmarks[0].metrics = [unbelieved, first_step]
    step, memory = sorted(gaps(gates), key=lambda gap: gap.metric, reverse=True)
    since = "since 2026-01-04, 2 gates"
    assert gap_sentence(step).startswith(f"cnn, step is not measured {since}")
    assert ": head saves 60% of the time; slips" in gap_sentence(step)
    assert gap_sentence(memory).startswith(f"cnn, memory is not judged {since}")
    latest = {one.metric: one.latest for one in read_history(gates).series}
    assert latest == {"step": False, "first step": True, "memory": False}


def test_two_suites_in_one_folder_miss_nothing_of_each_other():
    gates = gates_of(["cnn"], ["rnn"], ["cnn"], ["rnn"])
    for gate in gates[1::2]:
        gate.suite = "nightly.toml"
    assert gaps(gates) == []


def test_one_that_came_later_was_not_missing_before():
    assert gaps(gates_of(["cnn"], ["cnn", "rnn"])) == []


def test_text_and_markdown_tell_changes_first():
    gates = fixed_gates(LEVELS, noise=0.004)
    gates[-1].benchmarks.append(made_benchmark("a|<b>`*", seed=5))
    text = history_text(told(gates), 100)
    first, _, rest = text.partition("\n\n")
    assert first == "1 of 6 series changed over 30 gates, 2026-01-01 to 2026-01-30."
    assert rest.startswith("cnn, step: +")
    assert max(map(len, text.splitlines())) <= 100
    markdown = history_markdown(told(gates))
    assert markdown.startswith("## 1 of 6 series changed")
    assert markdown.index("cnn, step") < markdown.index("<details>") < markdown.index("cnn, memory")
    assert r"a\|&lt;b&gt;\`\*" in markdown


def test_no_text_reaches_the_terminal_as_control():
    gates = fixed_gates([1.0] * 3, name="a\x1b[31m\nb")
    gates[1].id = "c\x1b[2J\nd"
    gates[1].status = "interrupted"
    gates[2].benchmarks[0] = made_benchmark("a\x1b[31m\nb", metrics=[], reason="e\x1b[2J\nf")
    text = history_text(told(gates), 200)
    assert "\x1b" not in text
    assert "a b, step: " in text
    assert "Left out: c d: it ended as interrupted." in text
    assert ": e f; slips of it are not seen" in text


def test_json_has_every_gate_and_step():
    document = json.loads(history_json(told(fixed_gates(LEVELS, noise=0.004))))
    (step,) = [one for one in document["series"] if one["metric"] == "step"]
    assert step is document["series"][0]
    assert len(step["points"]) == 30
    assert len(step["steps"]) == 3
    assert step["points"][-1]["level"] == pytest.approx(step["total"]["ratio"])
    assert step["total"]["low"] < 1.03**3 < step["total"]["high"]
    assert {point["base"] for point in step["points"]} == {"f" * 40}


@pytest.fixture
def work(harness):
    save(harness.folder, *fixed_gates(LEVELS, noise=0.004))
    return harness


def test_the_command_finds_the_slips(work):
    done = work("history")
    assert (done.returncode, done.stderr) == (0, "")
    assert "1 of 3 series changed over 30 gates" in done.stdout
    assert " ".join(done.stdout.split()).count(" at commit ") == 3
    alone = work("history", "--metric", "memory", "--format", "json")
    assert [one["metric"] for one in json.loads(alone.stdout)["series"]] == ["memory"]


@pytest.mark.parametrize("name", ["history.html", "history.md", "history.json"])
def test_the_command_writes_files(work, name):
    done = work("history", "--to", name)
    assert done.returncode == 0, done.stderr
    content = (work.folder / name).read_text()
    assert "cnn, step: +" in content
    assert f"at commit {commit(SLIPS[1])[:10]}" in content


def test_files_and_folders_can_be_named(work):
    (elsewhere := work.folder / "artefacts").mkdir()
    paths = sorted((work.folder / "results" / "gates").iterdir())
    for path in paths[:5]:
        path.rename(elsewhere / path.name)
    assert "over 5 gates" in work("history", "artefacts").stdout
    assert "over 25 gates" in work("history", "results").stdout
    assert "over 2 gates" in work("history", *(f"artefacts/{path.name}" for path in paths[:2])).stdout


def test_files_that_are_no_gates_are_named_and_skipped(work):
    folder = work.folder / "results" / "gates"
    (folder / "20260101-broken.json").write_text("{")
    (folder / "20260101-run.json").write_bytes(records.encode(make_record()))
    done = work("history")
    assert done.returncode == 1
    assert "20260101-broken.json is not a readable gate record" in done.stderr
    assert "20260101-run.json is not a readable gate record" in done.stderr
    assert "2 files were skipped" in done.stderr
    assert "over 30 gates" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--benchmark", "cnm"), "unknown benchmark 'cnm'. Did you mean 'cnn'? Known: cnn."),
        (("--metric", "stop"), "invalid value for '--metric'"),
        (("--to", "history.pdf"), "the ending says what to write: .html, .md, .json"),
        (("--to", "nowhere/history.md"), "nowhere/history.md cannot be written"),
        (("missing.json",), "does not exist"),
        (("--results", "elsewhere"), "no gates in elsewhere/gates; make one with: harness gate"),
    ],
)
def test_what_is_refused(work, arguments, words):
    done = work("history", *arguments)
    assert done.returncode in (1, 2)
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_without_gates_it_says_what_is_there(harness):
    (runs := harness.folder / "results" / "runs").mkdir(parents=True)
    (runs / "one.json").write_bytes(records.encode(make_record()))
    done = harness("history")
    assert done.returncode == 2
    assert "there are other records: 1 in runs" in done.stderr


def test_gates_of_which_none_can_be_used_are_no_success(harness):
    save(harness.folder, *without_commits(fixed_gates([1.0] * 3)))
    done = harness("history")
    assert done.returncode == 2
    assert "none of the 3 gates can be used: 3 of 3 gates do not tell their commits" in done.stderr
    assert harness("history", "--against", "fixed").returncode == 0


@pytest.mark.parametrize(
    ("module", "arguments", "words"),
    [
        ("ruptures", (), 'this needs ruptures: pip install "dl-harness[history]"'),
        ("altair", ("--to", "history.html"), 'pip install "dl-harness[report]"'),
    ],
)
def test_a_library_that_is_missing_is_named_with_what_brings_it(work, module, arguments, words):
    (blocked := work.folder / "blocked").mkdir()
    (blocked / f"{module}.py").write_text(f"raise ModuleNotFoundError('no', name='{module}')\n")
    done = work("history", *arguments, PYTHONPATH=str(blocked))
    assert done.returncode == 2
    assert words in done.stderr


@pytest.mark.parametrize("rule", [None, "fixed", "chained"])
def test_a_tag_that_moved_begins_anew_whatever_is_said_of_gates_without_commits(rule):
    """The old base was 10 % faster: held together, the two stretches would tell of a gain that never was."""
    before = fixed_gates([1.1] * 8, noise=0.005, base="a" * 40)
    after = fixed_gates([1.0] * 8, noise=0.005, base="b" * 40, start=8)
    series = step_series([*before, *after], rule)
    assert [len(one.points) for one in series] == [8, 8]
    assert [one.trend.steps for one in series] == [[], []]
