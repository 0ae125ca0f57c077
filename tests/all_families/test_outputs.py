"""Each kind of output once, as a snapshot: all that its document says."""

import re

import msgspec
import pytest
from support.charts import valid
from support.made_bisections import made_bisection
from support.made_duels import made_time, stored_duel
from support.made_gates import fixed_gates, made_benchmark, mixed_gate
from support.made_outcomes import gan_record, language_record, made_store
from support.made_ports import made_port
from support.made_study import made_study, report_findings
from support.outline import charts_of, outline
from support.records import make_record, save_runs
from vl_convert import vegalite_to_svg

from harness.core.certify.certify import NotOffered, Skipped
from harness.core.certify.page import Checked, Extent, check_document
from harness.core.certify.parity import Finding
from harness.core.plugins import registry
from harness.core.runs.page import record_document
from harness.learning.runs.findings import read_findings
from harness.learning.runs.page import findings_document
from harness.learning.study.page import study_document
from harness.port.page import port_document
from harness.timing.bisect.page import bisect_document
from harness.timing.duel.page import duel_document
from harness.timing.gate.page import gate_document
from harness.timing.history.findings import find_history
from harness.timing.history.page import history_document
from harness.timing.time.page import time_document


def history():
    """Two regressions of a benchmark, and another that is no longer measured."""
    gates = fixed_gates([1.0] * 8 + [1.06] * 8 + [1.12] * 8, noise=0.002)
    gates[0].benchmarks.append(made_benchmark("gone"))
    return find_history(gates)


def check():
    right, wrong = Finding("sgd", 1e-15, ""), Finding("adam", 0.1, "off: transposed")
    outcomes = [right, wrong, Skipped("adam, l2", "adam"), NotOffered("hinge", "hinge")]
    checks = [
        Checked("torch:eager", "mlp", "float64", [right], [right], None),
        Checked("jax:jit", "mlp", "float64", outcomes, [right, wrong], None),
    ]
    return check_document(checks, Extent([registry.task("mlp")], ["sgd"], []), by_case=True)


DOCUMENTS = {
    "report of runs": lambda: findings_document(report_findings()),
    "study": lambda: study_document([made_study()]),
    "run": lambda: record_document(make_record()),
    "duel": lambda: duel_document(stored_duel()),
    "gate": lambda: gate_document(mixed_gate()),
    "history": lambda: history_document(history()),
    "times of a step": lambda: time_document(made_time()),
    "bisection": lambda: bisect_document(made_bisection()),
    "port": lambda: port_document(made_port()),
    "check": check,
}
#: The part of a page in the name of a chart.
PART = re.compile(r"(comparison|study|part|series)-\d+-?")
#: The part of an id that counts the records that were made up before it.
COUNTED = re.compile(r"\d{6}-000-(.*?)-[0-9a-f]{4}\b")


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_a_document(kind, snapshot):
    document = DOCUMENTS[kind]()
    assert COUNTED.sub(r"…-\1-…", outline(document)) == snapshot
    of_each_kind = {PART.sub("", figure.name): figure.chart for figure in charts_of(document)}
    for chart in of_each_kind.values():
        assert vegalite_to_svg(valid(chart) | {"width": 400}).startswith("<svg")


def test_a_report_of_outcomes(tmp_path, snapshot):
    """Of a classification, a forecast, a generator and a language model."""
    store = made_store(tmp_path)
    language_record(store)
    assert COUNTED.sub(r"…-\1-…", outline(findings_document(read_findings((), tmp_path)))) == snapshot


def test_a_record_of_a_network_that_generates(tmp_path, snapshot):
    made = gan_record(save_runs(tmp_path))
    record = msgspec.structs.replace(made, id="a", started_at=make_record().started_at)
    assert outline(record_document(record)) == snapshot
