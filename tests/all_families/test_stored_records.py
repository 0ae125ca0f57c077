"""Stored runs and studies are read by every command."""

import shutil
from pathlib import Path

import pytest

RECORDS = Path(__file__).parents[1] / "support" / "stored_records"


@pytest.fixture(scope="module")
def harness_with_old_records(tmp_path_factory, harness_in):
    command = harness_in(tmp_path_factory.mktemp("old"))
    for kind in ("runs", "studies"):
        shutil.copytree(RECORDS / kind, command.folder / "results" / kind)
    return command


def test_they_are_compared(harness_with_old_records, snapshot):
    done = harness_with_old_records("compare", "task=mlp", COLUMNS="160")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == snapshot


@pytest.mark.parametrize("name", ["gan", "mlp-keras", "mlp-torch"])
def test_they_are_shown_by_id_and_by_path(harness_with_old_records, name):
    path = next((RECORDS / "runs").glob(f"*{name}*.json"))
    for named in (path.stem, str(path)):
        done = harness_with_old_records("show", named)
        assert (done.returncode, done.stderr) == (0, "")
        assert path.stem in done.stdout


@pytest.mark.parametrize("name", ["report.md", "report.html", "runs.csv"])
def test_they_are_reported(harness_with_old_records, name):
    done = harness_with_old_records("report", "--to", name)
    assert (done.returncode, done.stderr) == (0, "")
    assert "keras" in (harness_with_old_records.folder / name).read_text()
