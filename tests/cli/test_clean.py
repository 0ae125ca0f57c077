"""``harness clean``: it shows, asks and removes what is left, and nothing else."""

import os
import time

import pytest
from support.records import make_record, make_unfinished_record

from harness.runs.store import Store

_DAY_SECONDS = 86400


@pytest.fixture
def left(quick, tmp_path):
    """A results folder with a finished and a lost run; a cache with an old and a new part of each kind."""
    store = Store(quick.folder / "results")
    store.prepare()
    store.save(make_record("finished"))
    store.save(make_unfinished_record("lost", "running"))
    cache = tmp_path / "cache"
    for name, days in (("old", 40), ("new", 0)):
        (cache / "gate" / name / "bin").mkdir(parents=True)
        (cache / "gate" / name / "bin" / "python").write_bytes(b"#" * 2048)
        (cache / "certificates").mkdir(exist_ok=True)
        (cache / "certificates" / f"{name}.json").write_bytes(b"{}")
        for path in (cache / "gate" / name, cache / "certificates" / f"{name}.json"):
            os.utime(path, (time.time() - days * _DAY_SECONDS,) * 2)
    return [str(cache / "gate" / "old"), str(cache / "certificates" / "old.json")]


def test_what_is_left_is_shown_and_removed_only_on_request(quick, left):
    shown = quick("clean", "--dry-run")
    assert (shown.returncode, shown.stderr) == (0, "")
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert [" ".join(line[:2]) for line in lines[:2]] == ["lost run", "gate environment"]
    assert lines[2][0] == "certificate"
    assert [lines[1][-1], lines[2][-1]] == left
    assert "Nothing was removed (--dry-run)." in shown.stdout

    refused = quick("clean")  # its standard input is no terminal
    assert (refused.returncode, "give --yes" in refused.stderr) == (2, True)
    assert len(list(quick.folder.glob("results/runs/*.json"))) == 2

    done = quick("clean", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Removed 3 of 3 items" in done.stdout
    assert [path.stem for path in quick.folder.glob("results/runs/*.json")] == ["finished"]
    again = quick("clean", "--yes")
    assert again.stdout == "Nothing to remove in results and the caches.\n"
