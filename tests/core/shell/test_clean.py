"""``harness clean``: it shows, asks and removes what is left, and nothing else."""

import os
import time

import pytest
from support.records import make_record, make_unfinished_record, save_runs

from harness.timing.environments.cache import environments_in_cache

_DAY_SECONDS = 86400


def aged(path, days):
    os.utime(path, (time.time() - days * _DAY_SECONDS,) * 2)


@pytest.fixture
def left(quick, tmp_path):
    """A results folder with a finished and a lost run; a cache with an old and a new part of each kind."""
    save_runs(quick.folder / "results", make_record("finished"), make_unfinished_record("lost", "running"))
    cache = tmp_path / "cache"
    (cache / "certificates").mkdir(parents=True)
    for name, days in (("old", 40), ("new", 0)):
        environment, certificate = cache / "environments" / name, cache / "certificates" / f"{name}.json"
        (environment / "bin").mkdir(parents=True)
        (environment / "bin" / "python").write_bytes(b"#" * 2048)
        certificate.write_bytes(b"{}")
        aged(environment, days)
        aged(certificate, days)
    return [str(cache / "environments" / "old"), str(cache / "certificates" / "old.json")]


def test_what_is_left_is_shown_and_removed_only_on_request(quick, left):
    shown = quick("clean", "--dry-run")
    assert (shown.returncode, shown.stderr) == (0, "")
    lines = [line.split() for line in shown.stdout.splitlines()]
    assert " ".join(lines[0][:2]) == "lost run"
    assert [line[0] for line in lines[1:3]] == ["environment", "certificate"]
    assert [line[-1] for line in lines[1:3]] == left
    assert "Kept: 1 environment of today" in shown.stdout

    refused = quick("clean")  # its standard input is no terminal
    assert (refused.returncode, "give --yes" in refused.stderr) == (2, True)
    assert len(list(quick.folder.glob("results/runs/*.json"))) == 2

    done = quick("clean", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Removed 3 of 3 items" in done.stdout
    assert [path.stem for path in quick.folder.glob("results/runs/*.json")] == ["finished"]
    assert quick("clean", "--yes").stdout.startswith("Nothing to remove")


def test_what_environments_share_counts_once_and_as_kept(quick, tmp_path):
    names = ("dependencies-1", "package-1", "package-2")
    folders = [tmp_path / "cache" / "environments" / name for name in names]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "own").write_bytes(bytes(2 << 20))
    (folders[0] / "shared").write_bytes(bytes(7 << 20))
    for folder in folders[1:]:
        (folder / "shared").hardlink_to(folders[0] / "shared")

    def sizes():
        """What is old, with its MiB, and the number and MiB of what is kept."""
        found = environments_in_cache()
        old = {item.path.name: item.size_bytes >> 20 for item in found.old}
        return old, found.kept, found.kept_bytes >> 20

    assert sizes() == ({}, 3, 13)
    aged(folders[1], 2)
    assert sizes() == ({"package-1": 2}, 2, 11)
    aged(folders[0], 2)
    aged(folders[2], 2)
    old, kept, _ = sizes()
    assert (sum(old.values()), kept) == (13, 0)
