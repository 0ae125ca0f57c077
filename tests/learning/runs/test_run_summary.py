"""The end of ``harness run`` with several configurations or settings: a comparison of them."""

import pytest
from support.ended_runs import COMPARED, FOLDER
from support.made_comparisons import made_duel
from support.made_duels import save_duel
from support.made_records import two_configurations

from harness.core.documents.document import Document
from harness.core.documents.render.terminal import terminal_text
from harness.core.runs.summary import summary_document
from harness.learning.runs.run_summary import compared


def test_a_duel_of_the_folder_is_used(tmp_path):
    records = [record for record in two_configurations() if record.seed < 2]
    before = terminal_text(Document("", "", compared(records, tmp_path / "runs")), 200)
    save_duel(tmp_path, made_duel(3.0))
    after = terminal_text(Document("", "", compared(records, tmp_path / "runs")), 200)
    assert ("undecided" in before, "For a verdict on speed:" in before) == (True, True)
    assert "jax:eager is fastest" in after
    assert "harness duel" not in after


@pytest.mark.parametrize("name", COMPARED)
def test_the_summary(name, snapshot):
    records = COMPARED[name]
    text = terminal_text(summary_document(records, FOLDER, compared(records, FOLDER)), 200)
    assert f"Records: results/runs/{records[-1].id}.json" in text
    assert text.replace(records[-1].id, "ID") == snapshot
