"""A gate as Markdown and as GitHub annotations."""

import re

import pytest
from support.gate_formats import SHOWN, commands, hostile_gate, interrupted_gate
from support.made_gates import made_benchmark, made_gate, mixed_gate
from support.rendered import gate_markdown

from harness.report import ci_formats


def test_markdown_has_the_verdict_the_table_and_the_advice():
    text = gate_markdown(mixed_gate())
    first, *rest = text.split("<details>")[0].splitlines()
    assert first.startswith(
        "## ❌ FAIL: 3 of 5 benchmarks failed (rnn-compiled, gan, forecast), 1 inconclusive"
    )
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in rest if line.startswith("|")]
    assert rows[0] == [
        "benchmark",
        "verdict",
        "step (≤ 5 %)",
        "first step (≤ 50 %)",
        "memory (≤ 10 %)",
        "quality",
    ]
    cells = {row[0]: row[1:] for row in rows[2:]}
    assert {name: row[0].split()[-1] for name, row in cells.items()} == {
        "cnn": "PASS",
        "rnn-compiled": "FAIL",
        "mlp": "INCONCLUSIVE",
        "gan": "FAIL",
        "forecast": "FAIL",
    }
    assert re.fullmatch(r"\+7\.\d % \\\[\d\.\d, \d\.\d\\\] FAIL", cells["rnn-compiled"][1])
    assert cells["forecast"][1:] == ["–"] * 4
    assert cells["gan"][4] == "different"
    assert "head/bin/python -m harness duel torch:compile torch:compile --task cnn" in text
    assert all("--no-certify" in line for line in text.splitlines() if "-m harness duel" in line)
    assert text.count("<details>") == text.count("</details>") == 2


def test_markdown_escapes_any_text():
    text = gate_markdown(hostile_gate())
    assert "\x1b" not in text
    code = re.compile(r"```sh\n[^`]*\n *```")
    assert "<b>" not in code.sub("", text)
    assert "`" not in re.sub(r"\\`", "", code.sub("", text))
    assert code.sub("", text).count("<") == 8  # two details and their summaries
    table = [line for line in text.split("<details>")[0].splitlines() if line.startswith("|")]
    assert len(table) == 3
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {7}


def test_the_step_summary_is_appended_to(tmp_path):
    file = tmp_path / "summary.md"
    file.write_text("before\n")
    ci_formats.add_to_step_summary(mixed_gate(), {"GITHUB_STEP_SUMMARY": str(file)})
    assert file.read_text() == "before\n" + gate_markdown(mixed_gate())
    ci_formats.add_to_step_summary(mixed_gate(), {})


@pytest.mark.parametrize(
    ("inconclusive", "kind"), [(None, "warning"), ("pass", "warning"), ("fail", "error")]
)
def test_annotations_of_benchmarks_that_did_not_pass(inconclusive, kind):
    read = commands(mixed_gate(), inconclusive)
    assert [(each, title) for each, title, _ in read] == [
        ("error", "FAIL: rnn-compiled"),
        ("error", "FAIL: gan"),
        ("error", "FAIL: forecast"),
        (kind, "INCONCLUSIVE: mlp"),
    ]
    assert "limit 5 %" in read[0][2]
    assert "raise max_slowdown" in read[0][2]


def test_annotations_of_gates_whose_benchmarks_all_passed():
    assert commands(made_gate(made_benchmark())) == []
    ((kind, title, message),) = commands(made_gate())
    assert (kind, title) == ("error", "INVALID: harness gate")
    assert "no benchmark ran" in message
    ((kind, _, message),) = commands(interrupted_gate())
    assert kind == "error"
    assert "interrupted" in message


def test_annotations_escape_any_text():
    ((kind, title, message),) = commands(hostile_gate())
    assert (kind, title) == ("error", f"FAIL: {SHOWN}")
    assert SHOWN in message


def test_annotations_are_printed_on_runners_only():
    assert ci_formats.annotates({"GITHUB_ACTIONS": "true"})
    assert not ci_formats.annotates({})
