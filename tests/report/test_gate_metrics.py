"""A gate as OpenMetrics text and in the Bencher Metric Format."""

import json

import pytest
from support.gate_formats import SHOWN, families, hostile_gate
from support.made_gates import made_gate, mixed_gate

from harness.report.ci_formats import bencher_json, openmetrics_text


def labelled(**labels):
    return tuple(sorted(labels.items()))


def test_openmetrics_has_medians_ratios_and_verdicts():
    record = mixed_gate()
    read = families(openmetrics_text(record))
    result = record.benchmarks[1].metrics[0]
    seconds = read["harness_gate_step_seconds"]
    assert seconds[labelled(benchmark="rnn-compiled", environment="head")] == result.head
    assert len(seconds) == len(read["harness_gate_memory_bytes"]) == 2 * 4
    bounds = {
        bound: read["harness_gate_ratio"][labelled(benchmark="rnn-compiled", metric="step", bound=bound)]
        for bound in ("mean", "low", "high", "limit")
    }
    ratio = result.ratio
    assert bounds == {"mean": ratio.value, "low": ratio.low, "high": ratio.high, "limit": 1.05}
    passed = {dict(labels)["benchmark"]: value for labels, value in read["harness_gate_passed"].items()}
    assert passed == {"cnn": 1, "rnn-compiled": 0, "mlp": 0, "gan": 0, "forecast": 0}


def test_openmetrics_escapes_any_text():
    read = families(openmetrics_text(hostile_gate()))
    ((labels, value),) = read["harness_gate_passed"].items()
    name = dict(labels)["benchmark"].replace(r"\"", '"').replace(r"\\", "\\")
    assert (name, value) == (SHOWN.replace("#", "_"), 0)


@pytest.mark.parametrize("made", [mixed_gate, hostile_gate, made_gate])
def test_the_reference_parser_reads_openmetrics(made):
    parser = pytest.importorskip("prometheus_client.openmetrics.parser")
    read = {each.name: each for each in parser.text_string_to_metric_families(openmetrics_text(made()))}
    assert read["harness_gate_step_seconds"].unit == "seconds"
    assert len(read) == 5


def test_bencher_has_a_measure_for_each_metric():
    record = mixed_gate()
    document = json.loads(bencher_json(record))
    assert list(document) == [each.name for each in record.benchmarks]
    result = record.benchmarks[1].metrics[0]
    assert document["rnn-compiled"]["step-ratio"] == {
        "value": result.ratio.value,
        "lower_value": result.ratio.low,
        "upper_value": result.ratio.high,
    }
    assert document["rnn-compiled"]["step-seconds"] == {"value": result.head}
    assert set(document["cnn"]["step-ratio"]) == {"value", "lower_value", "upper_value"}
    assert set(document["cnn"]) == {
        f"{metric}-{what}"
        for metric, unit in (("step", "seconds"), ("first-step", "seconds"), ("memory", "bytes"))
        for what in ("ratio", unit)
    }
    assert document["forecast"] == {}
