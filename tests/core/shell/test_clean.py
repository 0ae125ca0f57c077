"""``harness clean``: it shows, asks and removes what is left, and nothing else."""

import os
import time

import pytest
from support.records import make_record, make_unfinished_record, save_runs

_DAY_SECONDS = 86400


def aged(path, days):
    os.utime(path, (time.time() - days * _DAY_SECONDS,) * 2)


@pytest.fixture
def left(quick, tmp_path, monkeypatch):
    """A results folder with a finished and a lost run; a cache with an old and a new certificate."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    save_runs(quick.folder / "results", make_record("finished"), make_unfinished_record("lost", "running"))
    cache = tmp_path / "cache"
    (cache / "certificates").mkdir(parents=True)
    for name, days in (("old", 40), ("new", 0)):
        certificate = cache / "certificates" / f"{name}.json"
        certificate.write_bytes(b"{}")
        aged(certificate, days)
    return str(cache / "certificates" / "old.json")


def test_what_is_left_is_shown_and_removed_only_on_request(quick, left):
    shown = quick("clean", "--dry-run")
    assert (shown.returncode, shown.stderr) == (0, "")
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert " ".join(lines[0][:2]) == "lost run"
    assert (lines[1][0], lines[1][-1]) == ("certificate", left)

    refused = quick("clean")  # its standard input is no terminal
    assert (refused.returncode, "give --yes" in refused.stderr) == (2, True)
    assert len(list(quick.folder.glob("results/runs/*.json"))) == 2

    done = quick("clean", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Removed 2 of 2 items" in done.stdout
    assert [path.stem for path in quick.folder.glob("results/runs/*.json")] == ["finished"]
    assert quick("clean", "--yes").stdout.startswith("Nothing to remove")
