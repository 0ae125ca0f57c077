"""Outputs in the documentation are recorded from commands that the page shows."""

import importlib.util
import json
import os

import pytest
from support.pages import PAGES, ROOT, blocks

from harness.core.documents.numbers import RATIO_LEGEND
from harness.timing.gate.words import CHANGE_LEGEND

FEWEST_RECORDED, FEWEST_LEGENDS = 8, 4
_SPEC = importlib.util.spec_from_file_location("outputs", ROOT / "docs" / "record" / "outputs.py")
outputs = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(outputs)

RECORDED = [
    pytest.param(page, entry.command, id=f"{page}: {entry.command}")
    for page, path in PAGES.items()
    for entry in outputs.recorded(path.read_text())
    if entry.is_shown
]


@pytest.mark.parametrize(("page", "command"), RECORDED)
def test_a_recorded_command_is_shown_before_its_output(page, command):
    """A record of the comparison was made by the command that the page shows."""
    if "$COMPARISON" in command:
        (record,) = (ROOT / "results/comparison").glob(command.rpartition('$COMPARISON"/')[2])
        made = json.loads(record.read_text())["command"]
        words = made[: made.index("--budget")]
        assert any(" ".join(["harness", *words]) in block.text for block in blocks(page, "sh"))
        return
    assert any(command in block.text for block in blocks(page, "sh"))


#: How each legend begins, and the whole of it.
LEGENDS = {"Ratios are ": RATIO_LEGEND, "Changes are ": CHANGE_LEGEND}


def test_recorded_outputs_have_the_legends_of_today():
    """Other words show that an output is older than the code."""
    checked = 0
    for page in PAGES:
        for block in blocks(page, "text"):
            text = " ".join(block.text.split())
            for beginning, legend in LEGENDS.items():
                checked += text.count(beginning)
                assert text.count(beginning) == text.count(legend), f"{page}: run docs/record/outputs.py"
    assert checked >= FEWEST_LEGENDS


def test_every_output_of_the_readme_is_recorded_and_others_are():
    entries = [entry for entry in outputs.recorded(PAGES["README.md"].read_text()) if entry.is_shown]
    assert len(entries) == len(blocks("README.md", "text")) >= 2
    assert len(RECORDED) >= FEWEST_RECORDED


def test_a_page_is_recorded_in_one_folder_and_without_its_path(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- run: echo $PWD/a > file -->\n<!-- record (exit 3) (lines 1-1): cat file file; exit 3 -->\n"
        "```text\nold\n```\nrest\n"
    )
    outputs.record(page, dict(os.environ))
    assert page.read_text().endswith("exit 3 -->\n\n```text\na\n```\nrest\n")


def test_an_unexpected_exit_code_ends_the_recording_and_changes_nothing(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- record: false -->\n```text\nold\n```\n")
    with pytest.raises(SystemExit, match="exit code 1, not 0"):
        outputs.record(page, dict(os.environ))
    assert "old" in page.read_text()
