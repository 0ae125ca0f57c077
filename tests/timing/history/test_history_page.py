"""Histories as text, Markdown and JSON: changes come first, and no text from a record is taken for markup."""

import json

import pytest
from support.made_gates import failed, fixed_gates, made_benchmark, made_gate

from harness.core.documents.render.markdown import markdown
from harness.core.documents.render.terminal import terminal_text
from harness.timing.history.findings import find_history
from harness.timing.history.page import history_document, history_json
from harness.timing.history.words import gap_sentence, headline, sentence

REGRESSIONS = (8, 16, 24)
LEVELS = [1.03 ** sum(place >= at for at in REGRESSIONS) for place in range(30)]


def without_removed():
    return [
        made_gate(*(made_benchmark(name) for name in names), number=number)
        for number, names in enumerate((["cnn", "rnn"], ["cnn"], ["cnn", "rnn"], ["cnn"]))
    ]


HISTORIES = {
    "three changes": fixed_gates(LEVELS, noise=0.002),
    "no change": fixed_gates([1.0] * 30, noise=0.005),
    "one gate": fixed_gates([1.685], noise=0.005),
    "gaps": without_removed(),
}


@pytest.mark.parametrize("name", HISTORIES)
def test_sentences(name, snapshot):
    """The headline, what the step did, with each change and its commit, and what was not measured."""
    found = find_history(HISTORIES[name])
    series = [sentence(each) for each in found.series if each.metric == "step"]
    assert [headline(found), *series, *map(gap_sentence, found.gaps)] == snapshot


def test_changes_come_first_and_the_gates_are_folded_away():
    gates = fixed_gates(LEVELS, noise=0.004)
    gates[-1].benchmarks.append(made_benchmark("a|<b>`*", seed=5))
    text = terminal_text(history_document(find_history(gates)), 100)
    assert text.index("cnn, step") < text.index("cnn, memory")
    assert max(map(len, text.splitlines())) <= 100
    table = markdown(history_document(find_history(gates)))
    assert table.index("cnn, step") < table.index("cnn, memory") < table.index("<details>")
    assert r"a\|&lt;b&gt;\`\*" in table


def test_no_text_of_a_record_reaches_the_terminal_as_a_control_sequence():
    gates = fixed_gates([1.0] * 3, name="a\x1b[31m\nb")
    gates[1].id = "c\x1b[2J\nd"
    gates[1].status = "interrupted"
    crash = failed("e\x1b[2J\nf")
    gates[2].benchmarks[0] = made_benchmark("a\x1b[31m\nb", metrics=[], reasons=[crash])
    text = terminal_text(history_document(find_history(gates)), 200)
    assert "\x1b" not in text
    assert all(seen in text for seen in ("a b, step", "c d: the status", ": e f."))


def test_json_has_every_gate_and_step():
    document = json.loads(history_json(find_history(fixed_gates(LEVELS, noise=0.004))))
    step = document["series"][0]
    assert (step["metric"], len(step["points"]), len(step["steps"])) == ("step", 30, 3)
    assert step["points"][-1]["level"] == pytest.approx(step["total"]["ratio"])
    assert step["total"]["low"] < 1.03**3 < step["total"]["high"]
    assert {point["base"] for point in step["points"]} == {"f" * 40}
