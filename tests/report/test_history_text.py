"""Histories as text, Markdown and JSON: changes come first, and no text from a record is taken for markup."""

import json
import re

import pytest
from support.made_gates import commit, fixed_gates, made_benchmark, made_gate
from support.rendered import history_markdown, history_text

from harness.gate import reasons
from harness.gate.history import gaps, read_history
from harness.report.history import HistoryFindings, gap_sentence, history_json, sentence

REGRESSIONS = (8, 16, 24)
LEVELS = [1.03 ** sum(place >= at for at in REGRESSIONS) for place in range(30)]


def findings(gates):
    return HistoryFindings(read_history(gates), gaps(gates), gates)


def step_sentence(gates):
    (text,) = [sentence(series) for series in read_history(gates).series if series.metric == "step"]
    return text


def test_a_sentence_has_each_change_with_its_commit_and_the_total():
    text = step_sentence(fixed_gates(LEVELS, noise=0.002))
    change = r"\+\d+\.\d % \[\d+\.\d, \d+\.\d\]"
    changes = ", ".join(
        rf"{change} at commit {commit(place)[:10]} \(2026-01-{place + 1:02}\)" for place in REGRESSIONS
    )
    whole = rf"cnn, step: {changes}; in total {change} since f{{10}} \(30 gates\)"
    assert re.fullmatch(whole, text), text


def test_a_gain_has_a_minus_sign():
    text = step_sentence(fixed_gates([1.0] * 10 + [0.9] * 10, noise=0.005))
    assert re.search(r"cnn, step: −1\d\.\d % \[−1\d\.\d, −\d+\.\d\] at commit ", text)


@pytest.mark.parametrize(("gates", "words"), [(1, "only one gate so far"), (30, "no change")])
def test_a_series_without_a_change_says_why(gates, words):
    assert f"cnn, step: {words}; in total " in step_sentence(fixed_gates([1.0] * gates, noise=0.005))


def test_one_gate_does_not_show_that_nothing_changed():
    text = history_text(findings(fixed_gates([1.685], noise=0.005)), 100)
    assert text.startswith("Too few gates to find a change: 1 gate, 2026-01-01.\n\n")
    assert history_text(findings(fixed_gates([1.0] * 2, noise=0.005)), 100).startswith(
        "No change in 3 series"
    )


def test_changes_come_first_and_the_rest_is_folded_away():
    gates = fixed_gates(LEVELS, noise=0.004)
    gates[-1].benchmarks.append(made_benchmark("a|<b>`*", seed=5))
    text = history_text(findings(gates), 100)
    assert text.startswith("1 of 6 series changed over 30 gates, 2026-01-01 to 2026-01-30.\n\n")
    assert text.index("cnn, step") < text.index("cnn, memory")
    assert max(map(len, text.splitlines())) <= 100
    markdown = history_markdown(findings(gates))
    assert markdown.startswith("## 1 of 6 series changed")
    assert markdown.index("cnn, step") < markdown.index("<details>") < markdown.index("cnn, memory")
    assert r"a\|&lt;b&gt;\`\*" in markdown


def test_no_text_of_a_record_reaches_the_terminal_as_a_control_sequence():
    gates = fixed_gates([1.0] * 3, name="a\x1b[31m\nb")
    gates[1].id = "c\x1b[2J\nd"
    gates[1].status = "interrupted"
    crash = reasons.Failed(label="head", message="e\x1b[2J\nf")
    gates[2].benchmarks[0] = made_benchmark("a\x1b[31m\nb", metrics=[], reasons=[crash])
    text = history_text(findings(gates), 200)
    assert "\x1b" not in text
    assert "a b, step" in text
    assert "c d: its status is interrupted" in text
    assert ": head failed: e f. Regressions go unnoticed." in text


def test_a_benchmark_that_is_not_measured_is_named_with_since_when():
    gates = [
        made_gate(*(made_benchmark(name) for name in names), number=number)
        for number, names in enumerate((["cnn", "rnn"], ["cnn"], ["cnn", "rnn"], ["cnn"]))
    ]
    away, gone = gaps(gates)
    assert gap_sentence(away) == f"rnn was not in the suite in 1 gate from {gates[1].id} to {gates[1].id}"
    assert gap_sentence(gone).startswith("rnn is not in the suite since 2026-01-04, 1 gate")


def test_json_has_every_gate_and_step():
    document = json.loads(history_json(findings(fixed_gates(LEVELS, noise=0.004))))
    step = document["series"][0]
    assert (step["metric"], len(step["points"]), len(step["steps"])) == ("step", 30, 3)
    assert step["points"][-1]["level"] == pytest.approx(step["total"]["ratio"])
    assert step["total"]["low"] < 1.03**3 < step["total"]["high"]
    assert {point["base"] for point in step["points"]} == {"f" * 40}
