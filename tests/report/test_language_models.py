"""Language models in reports: losses in their unit, texts on the page and in ``show``, all of it escaped."""

import pytest
from support.made_outcomes import language_record

from harness.analysis.findings import read_findings
from harness.report.charts import runs as charts
from harness.report.charts.base import configuration_colours
from harness.report.charts.curves import loss_curves
from harness.report.charts.runs import all_figures, all_passages, write_folder
from harness.report.escaping import with_lines
from harness.report.numbers import test_score as score_text
from harness.report.render.html import html_page
from harness.report.render.terminal import terminal_text
from harness.report.runs.findings import findings_document
from harness.report.runs.record import record_document, summary_document
from harness.runs.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = Store(tmp_path_factory.mktemp("language"))
    store.prepare()
    for seed in range(3):
        language_record(store, seed=seed)
        language_record(store, "jax", seed=seed, text="Second Citizen:", scale=1.002)
    return store


@pytest.fixture(scope="module")
def findings(store):
    return read_findings((), store.folder.parent)


def test_the_loss_is_the_score_and_has_its_unit(store, findings):
    record = language_record(store)
    assert score_text(record) == "loss 1.9 nats/token"
    summary = terminal_text(summary_document([record], store.folder.parent), 120)
    text = terminal_text(findings_document(findings), 120)
    for printed in (summary, text):
        assert "test loss" in printed
        assert "nats/token" in printed
        assert " points" not in printed


def test_charts_have_the_unit_too(findings):
    (curves,) = [group.overfittings for group in findings.groups]
    chart = loss_curves(curves, configuration_colours([curve.configuration.name for curve in curves]))
    assert "loss (nats/token)" in str(chart)
    kinds = {name.split("-", 2)[2] for name in all_figures(findings)}
    assert {"loss", "gap"} <= kinds
    assert not {"curves", "recall", "confusion", "examples"} & kinds


def test_texts_keep_their_lines_in_a_terminal_and_on_a_page(store, findings):
    assert "  | To be, or not\n  |\n  | to be" in terminal_text(record_document(language_record(store)))
    assert html_page(findings_document(findings)).count("To be, or not\n\nto be") == 2


def test_line_ends_of_texts_stay(tmp_path):
    store = Store(tmp_path / "results")
    store.prepare()
    language_record(store)
    (passage,) = all_passages(read_findings((), store.folder.parent))
    assert passage.texts[1:] == ["To be, or not\n\nto be", "Sir,"]


def test_a_folder_has_the_texts_as_files(findings, tmp_path, monkeypatch):
    monkeypatch.setattr(charts, "all_figures", lambda _: {})  # charts take seconds to draw
    paths = write_folder(findings, tmp_path / "charts")
    assert [path.suffix for path in paths] == [".txt", ".txt"]
    assert any("Second Citizen:" in path.read_text("utf-8") for path in paths)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb", "a\nb"),
        ("a\tb", "a   b"),
        ("a\rb\x00", "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"),
        ("a \n\x1b[1;31mb", "a\nb"),
        ("é\u2028ü", "é\N{LINE SEPARATOR}ü"),
    ],
)
def test_lines_stay_and_control_characters_become_visible(text, shown):
    assert with_lines(text) == shown
