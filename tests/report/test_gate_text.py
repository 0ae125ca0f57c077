"""The words of a gate: headline, table, reasons with their figures, and cautions."""

import re

import msgspec
import pytest
from support.gate_formats import hostile_gate, invalid_benchmark
from support.made_gates import BASE, HEAD, made_benchmark, made_gate, mixed_gate
from support.rendered import gate_markdown, gate_text

from harness.gate import reasons
from harness.gate.record import QualityResult, SeedScores
from harness.report.gate import (
    conditions,
    details,
    headline,
    measurements_table,
    metric_text,
    quality_word,
    reason_text,
    why,
)
from harness.steps.findings import ValueDiffers, WorkComparison


def test_the_headline_counts_each_verdict():
    assert headline(made_gate(made_benchmark())) == "the benchmark is within its limits"
    record = mixed_gate()
    record.benchmarks.append(invalid_benchmark("noisy"))
    counts = "3 of 6 benchmarks failed (rnn-compiled, gan, forecast), 1 invalid (noisy), 1 inconclusive (mlp)"
    assert headline(record) == counts


def test_a_gate_that_was_killed_is_shown_as_unfinished():
    text = gate_text(made_gate(made_benchmark(), verdict="INVALID", status="running"), 100)
    assert text.startswith("INVALID: the gate did not end")


def test_circumstances_count_one_thread_and_name_only_an_unusual_end():
    benchmark = made_benchmark()
    benchmark.threads = 1
    assert ", 1 thread, " in conditions(benchmark)
    assert "status" not in details(made_gate())
    assert (
        details(made_gate(status="interrupted", failure="by the user"))["status"] == "interrupted by the user"
    )


@pytest.mark.parametrize("width", [60, 100, 200])
def test_the_table_fits_the_terminal(width):
    for record in (mixed_gate(), hostile_gate()):
        text = gate_text(record, width)
        assert "\x1b" not in text
        table = text.split("\n\n")[1]
        assert max(map(len, table.splitlines())) <= max(width, 100)


def test_reasons_stand_with_their_figures():
    benchmark = made_benchmark(step=1.08, confirmed=8, verdicts={"step": "FAIL"})
    figures = r"step \+\d\.\d % \[.*\], limit 5 % \(8 pairs.*\): head is proven worse than base"
    assert re.fullmatch(figures, why(benchmark))
    benchmark.reasons = [reasons.Failed(label="head", message="crashed")]
    assert re.fullmatch(f"head failed: crashed; {figures}", why(benchmark))


@pytest.mark.parametrize(
    ("weight", "words"),
    [
        (None, "8 pairs, p"),
        (7.5, "8 pairs, p"),
        (6.1, "8 pairs, outliers down-weighted, p"),
    ],
)
def test_the_effective_number_of_pairs_is_stated_where_outliers_cost_many(weight, words):
    benchmark = made_benchmark(step=1.08, confirmed=8, verdicts={"step": "FAIL"})
    (step,) = [result for result in benchmark.metrics if result.metric == "step"]
    assert f"({words} = " in metric_text(msgspec.structs.replace(step, weight=weight))


SEEDS = [SeedScores(seed=0, base=0.5, head=0.4, base_steps_to_target=1, head_steps_to_target=1)]


@pytest.mark.parametrize(
    ("quality", "word"),
    [
        (None, "–"),
        (QualityResult(verdict="PASS", worst=0.0), "same"),
        (QualityResult(verdict="PASS", seeds=SEEDS), "no worse"),
        (QualityResult(verdict="FAIL", worst=0.1), "different"),
        (QualityResult(verdict="FAIL", seeds=SEEDS), "worse"),
        (QualityResult(verdict="INCONCLUSIVE", seeds=SEEDS), "undecided"),
        (QualityResult(verdict="INVALID", seeds=SEEDS), "not comparable"),
    ],
)
def test_quality_is_called_worse_only_where_both_were_trained(quality, word):
    assert quality_word(made_benchmark(quality=quality)) == word


def shown(gate):
    return " ".join(gate_text(gate).split())


def test_removed_benchmarks_that_would_go_unnoticed_are_mentioned():
    gate = made_gate(made_benchmark("cnn"), unwatched="base's suite is not known")
    caution = "A benchmark that was removed would go unnoticed: base's suite is not known."
    assert caution in " ".join(gate_text(gate).split())
    assert "would go unnoticed" in gate_markdown(gate)


def test_base_and_head_that_are_the_same_are_mentioned():
    def text(**changes):
        return shown(made_gate(made_benchmark("cnn"), **changes))

    same = "Base and head are the same, so every difference is chance."
    assert same in text(base=HEAD)
    assert same in text(base=msgspec.structs.replace(BASE, commit=None, python=HEAD.python))
    other = msgspec.structs.replace(BASE, python=HEAD.python, commit=None, variables={"A": "1"})
    assert "Base and head" not in text(base=other)
    assert "Base and head" not in text()


def test_different_versions_are_mentioned():
    benchmark = made_benchmark("cnn")
    older, newer = benchmark.configurations
    older = msgspec.structs.replace(older, framework={"engine": "torch", "torch": "2.8.0"})
    versions = "Base and head have different versions: torch 2.8.0 in base, 2.9.0 in head."
    assert versions in shown(made_gate(msgspec.structs.replace(benchmark, configurations=[older, newer])))
    quality = QualityResult(verdict="FAIL", frameworks=[older.framework, newer.framework])
    untimed = made_benchmark("cnn", configurations=[], metrics=[], verdict="FAIL", quality=quality)
    assert versions in shown(made_gate(untimed))


def test_cautions_of_a_benchmark_are_mentioned():
    quality = QualityResult(verdict="PASS", reasons=[reasons.MemoryRanOut(precisions=["float64"])])
    gate = made_gate(made_benchmark("cnn", quality=quality))
    assert "cnn: memory ran out in float64, so losses in it were not compared." in shown(gate)
    benchmark = made_benchmark("cnn")
    replaced = msgspec.structs.replace(benchmark.dataset, stands_in_for="cifar10", reason="no internet")
    gate = made_gate(msgspec.structs.replace(benchmark, dataset=replaced))
    assert "digits stands in for cifar10: no internet." in shown(gate)
    base, head = benchmark.configurations
    wider = [base, msgspec.structs.replace(head, batch_size=128)]
    gate = made_gate(msgspec.structs.replace(benchmark, configurations=wider))
    sizes = "cnn: the batch size is 64 in base and 128 in head, so the change is of the time per sample."
    assert sizes in shown(gate)
    assert "batch size" not in shown(made_gate(benchmark))


def test_cautions_of_an_environment_are_mentioned():
    shared = "PYTHONPATH=src applies to base and head: its code is the same for both"
    base = msgspec.structs.replace(BASE, cautions=[shared])
    assert f"{shared}." in shown(made_gate(made_benchmark("cnn"), base=base))


def test_what_was_compared_of_a_step_is_said_with_its_extent():
    same = WorkComparison(outcome="same", calls=20, other_versions=True)
    differs = ValueDiffers(call=3, is_state=False, name="", base=0.71, head=0.72, deviation=1.4e-2)
    compared = reason_text(reasons.WorkNotCompared(comparison=same))
    assert "the first 20 calls are equal" in compared
    assert "looser tolerance" in compared
    text = reason_text(reasons.ValuesDiffer(difference=differs))
    assert text == "the values differ from call 3 on, by 1.4e-02: 0.71 and 0.72"


def test_the_step_times_agree_with_their_change():
    """Medians over processes have the drift in them that the change, taken turn by turn, leaves out."""
    benchmark = made_benchmark("cnn", step=1.2)
    step, *others = benchmark.metrics
    drifted = msgspec.structs.replace(step, head=step.base)  # as if nothing had changed
    table = measurements_table(made_gate(msgspec.structs.replace(benchmark, metrics=[drifted, *others])))
    base, head = (float(cell) for cell in table.rows[0][2:4])
    assert head / base == pytest.approx(step.ratio.value, rel=0.01)
