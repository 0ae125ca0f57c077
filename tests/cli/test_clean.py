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
        (cache / "environments" / name / "bin").mkdir(parents=True)
        (cache / "environments" / name / "bin" / "python").write_bytes(b"#" * 2048)
        (cache / "certificates").mkdir(exist_ok=True)
        (cache / "certificates" / f"{name}.json").write_bytes(b"{}")
        for path in (cache / "environments" / name, cache / "certificates" / f"{name}.json"):
            os.utime(path, (time.time() - days * _DAY_SECONDS,) * 2)
    return [str(cache / "environments" / "old"), str(cache / "certificates" / "old.json")]


def test_what_is_left_is_shown_and_removed_only_on_request(quick, left):
    shown = quick("clean", "--dry-run")
    assert (shown.returncode, shown.stderr) == (0, "")
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert " ".join(lines[0][:2]) == "lost run"
    assert [line[0] for line in lines[1:3]] == ["environment", "certificate"]
    assert [lines[1][-1], lines[2][-1]] == left
    assert "Kept: 1 environment of today, " in shown.stdout
    assert "Nothing was removed (--dry-run)." in shown.stdout

    refused = quick("clean")  # its standard input is no terminal
    assert (refused.returncode, "give --yes" in refused.stderr) == (2, True)
    assert len(list(quick.folder.glob("results/runs/*.json"))) == 2

    done = quick("clean", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Removed 3 of 3 items" in done.stdout
    assert [path.stem for path in quick.folder.glob("results/runs/*.json")] == ["finished"]
    again = quick("clean", "--yes")
    assert again.stdout.startswith(
        "Nothing to remove in results and the caches. Kept: 1 environment of today"
    )


def test_what_environments_share_counts_once_and_as_kept(quick, tmp_path):
    folders = [
        tmp_path / "cache" / "environments" / name for name in ("dependencies-1", "package-1", "package-2")
    ]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "own").write_bytes(bytes(2 << 20))
    (folders[0] / "shared").write_bytes(bytes(7 << 20))
    for folder in folders[1:]:
        (folder / "shared").hardlink_to(folders[0] / "shared")
    assert "Kept: 3 environments of today, 13.0 MiB." in quick("clean").stdout
    old = time.time() - 2 * _DAY_SECONDS
    os.utime(folders[1], (old, old))
    shown = quick("clean", "--dry-run").stdout
    assert ["environment", "2.0", "MiB", str(folders[1])] in [line.split() for line in shown.splitlines()]
    assert "Kept: 2 environments of today, 11.0 MiB." in shown
    os.utime(folders[0], (old, old))
    os.utime(folders[2], (old, old))
    assert "3 items, 13.0 MiB. Nothing was removed" in quick("clean", "--dry-run").stdout
