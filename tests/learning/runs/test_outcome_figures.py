"""Outcomes of networks: charts, pictures and texts, on the page, as a folder of files, and in notebooks."""

import base64
import re

import msgspec
import pytest
from support.charts import valid
from support.made_outcomes import CLASSES, gan_record, language_record, made_store
from support.made_study import STUDY, made_study, made_study_records
from support.records import save_runs

import harness as package
from harness.core.documents.charts import configuration_colours
from harness.core.documents.escaping import with_lines
from harness.core.documents.render.html import html_page
from harness.core.documents.render.terminal import terminal_text
from harness.core.runs.page import record_document
from harness.core.runs.summary import summary_document
from harness.core.runs.words import test_score as score_text
from harness.errors import UsageError
from harness.learning.runs import folder
from harness.learning.runs.curve_charts import loss_curves
from harness.learning.runs.findings import read_findings
from harness.learning.runs.folder import all_figures, all_pictures, write_folder
from harness.learning.runs.page import findings_document
from harness.learning.study.page import study_document
from harness.learning.study.record import STUDIES

PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("outcomes")
    made_store(folder)
    return folder


@pytest.fixture(scope="module")
def findings(results):
    return read_findings((), results)


def _rows(chart, name):
    parts = [chart, *valid(chart)["layer"]]
    return [row for part in parts if "data" in part for row in part["data"]["values"] if name in row]


def _chart(findings, kind):
    (figure,) = [each for name, each in all_figures(findings).items() if name.endswith(f"-{kind}")]
    return figure.chart


def _one_group(findings):
    """The findings of a generator, which has few charts."""
    return findings.__class__(findings.groups[-1:], [], [], [], results=findings.results)


def test_samples_of_one_epoch_are_no_course(tmp_path):
    store = save_runs(tmp_path)
    record = gan_record(store)
    record.pictures = msgspec.structs.replace(record.pictures, course_epochs=[2])
    store.save(record)
    kinds = {name.split("-", 2)[2] for name in all_pictures(read_findings((), tmp_path))}
    assert kinds == {"samples-best", "samples-last", "samples-neighbours"}


def test_recall_and_confusions_are_shares_of_the_classes(findings):
    recalls = _rows(_chart(findings, "recall"), "recall")
    records = [run.record for run in findings.runs if run.record.task.name == "cnn"]
    assert {row["class"] for row in recalls} == set(CLASSES)
    for label, name in enumerate(CLASSES):
        mean = 100 * sum(record.test_at_best[f"recall_{label}"] for record in records) / len(records)
        assert any(row["recall"] == pytest.approx(mean, abs=0.1) for row in recalls if row["class"] == name)
    shares = [row["share"] for row in _rows(_chart(findings, "confusion"), "share")]
    assert sum(shares) == pytest.approx(100 * len(CLASSES), abs=0.5)


def test_sample_predictions_have_pictures_and_both_classes(findings):
    chart = _chart(findings, "examples")
    pictures = [row["url"].partition(",")[2] for row in _rows(chart, "url")]
    assert len(pictures) == 16
    assert all(base64.b64decode(picture).startswith(PNG) for picture in pictures)
    labels = [(row["label"], row["sure"]) for row in _rows(chart, "label")]
    assert all(label.startswith("✗ ") and re.search(r"% sure\nis \w+$", sure) for label, sure in labels[:8])
    assert all(label.startswith("✓ ") and sure.endswith("% sure") for label, sure in labels[8:])


def test_pictures_that_are_not_there_are_left_out(findings, tmp_path):
    lost = all_figures(findings.__class__(findings.groups, [], [], [], results=tmp_path))
    assert not any(name.endswith("examples") for name in lost)


def test_a_forecast_stands_beside_truth_and_naive_forecast(findings):
    rows = _rows(_chart(findings, "forecast"), "year")
    assert {row["configuration"] for row in rows} == {"truth", "naive: as the last value", "torch:eager"}
    assert min(row["year"] for row in rows) == 1962


def test_the_page_holds_the_samples_of_a_generator(findings):
    assert html_page(findings_document(findings)).count('<img src="data:image/png;base64,') == 4


def test_a_folder_holds_every_chart_as_svg_and_png(findings, tmp_path):
    few = _one_group(findings)
    write_folder(few, tmp_path / "pictures")
    paths = list((tmp_path / "pictures").glob("[!.]*"))
    assert {path.suffix for path in paths} == {".svg", ".png"}
    assert all(path.read_bytes().startswith(PNG) for path in paths if path.suffix == ".png")
    assert {path.stem for path in paths} == {*all_figures(few), *all_pictures(few)}


def test_a_study_displays_itself_in_a_notebook(tmp_path):
    save_runs(tmp_path, *made_study_records())
    with pytest.raises(UsageError, match="no study 'overfitting'"):
        package.study("overfitting", tmp_path)
    STUDIES.save(STUDY, tmp_path / STUDIES.folder)
    bundle = package.study("overfitting", tmp_path)._repr_mimebundle_()
    assert study_document([made_study()]).title in bundle["text/plain"]
    assert bundle["text/html"].count("<svg") == 8
    shown = package.compare(results=tmp_path)._repr_mimebundle_()
    assert "<svg" in shown["text/html"]
    assert "<table" in shown["text/html"]


# Language models.


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = save_runs(tmp_path_factory.mktemp("language"))
    for seed in range(3):
        language_record(store, seed=seed)
        language_record(store, "jax", seed=seed, text="Second Citizen:", scale=1.002)
    return store


@pytest.fixture(scope="module")
def of_language(store):
    return read_findings((), store.folder.parent)


def test_the_loss_is_the_score_and_has_its_unit(store, of_language):
    record = language_record(store)
    assert score_text(record) == "loss 1.9 nats/token"
    summary = terminal_text(summary_document([record], store.folder.parent), 120)
    text = terminal_text(findings_document(of_language), 120)
    for printed in (summary, text):
        assert "test loss" in printed
        assert "nats/token" in printed
        assert " points" not in printed


def test_charts_have_the_unit_too(of_language):
    (curves,) = [group.overfittings for group in of_language.groups]
    chart = loss_curves(curves, configuration_colours([curve.configuration.name for curve in curves]))
    assert "loss (nats/token)" in str(chart)
    kinds = {name.split("-", 2)[2] for name in all_figures(of_language)}
    assert {"loss", "gap"} <= kinds
    assert not {"curves", "recall", "confusion", "examples"} & kinds


def test_texts_keep_their_lines_in_a_terminal_and_on_a_page(store, of_language):
    assert "  | To be, or not\n  |\n  | to be" in terminal_text(record_document(language_record(store)))
    assert html_page(findings_document(of_language)).count("To be, or not\n\nto be") == 2


def test_a_folder_has_the_texts_as_files(of_language, tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "all_figures", lambda _: {})  # charts take seconds to draw
    write_folder(of_language, tmp_path / "charts")
    paths = list((tmp_path / "charts").glob("[!.]*"))
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
