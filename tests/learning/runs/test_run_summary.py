"""The end of ``harness run`` with several configurations or settings: a comparison of them."""

import pytest
from support.ended_runs import COMPARED, FOLDER

from harness.core.documents.render.terminal import terminal_text
from harness.core.runs.summary import summary_document
from harness.learning.runs.run_summary import compared


@pytest.mark.parametrize("name", COMPARED)
def test_the_summary(name, snapshot):
    records = COMPARED[name]
    text = terminal_text(summary_document(records, FOLDER, compared(records, FOLDER)), 200)
    assert f"Records: results/runs/{records[-1].id}.json" in text
    assert text.replace(records[-1].id, "ID") == snapshot
