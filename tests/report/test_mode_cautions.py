"""Every form of a comparison says that a side has a faster mode than the one that ran."""

import pytest
from support.made_runs import made_record
from support.rendered import findings_text, html_report, markdown_report

from harness.analysis.findings import read_findings
from harness.report.runs import findings as document
from harness.runs.store import Store

SENTENCE = "torch:eager is not the fastest mode on cnn"


@pytest.fixture
def shown(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(document, "faster_modes", lambda ran, _known: asked.extend(ran) or [SENTENCE])
    store = Store(tmp_path / "results")
    store.prepare()
    for backend in ("torch", "keras"):
        for seed in range(3):
            store.save(made_record(backend, seed))
    return read_findings((), store.folder.parent), asked


def test_text_page_and_markdown_say_it(shown, tmp_path):
    found, asked = shown
    assert SENTENCE in findings_text(found, 100)
    # One of the runs of each configuration is enough.
    assert sorted(record.configuration.backend for record, *_ in asked) == ["keras", "torch"]
    assert SENTENCE in html_report(found)
    markdown_report(found, tmp_path / "report.md")
    assert SENTENCE in (tmp_path / "report.md").read_text()
