"""``harness clean`` and environments: those of earlier days are removed, what they share counts once."""

import os
import time

import pytest

from harness.timing.environments.cache import COMPLETE, environments_in_cache, exclusive


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))


def aged(path, days):
    moment = time.time() - 86400 * days
    os.utime(path, (moment, moment))


def test_old_environments_are_shown_and_removed_and_those_of_today_are_kept(quick, tmp_path):
    for name, days in (("old", 40), ("new", 0)):
        environment = tmp_path / "cache" / "environments" / name
        (environment / "bin").mkdir(parents=True)
        (environment / "bin" / "python").write_bytes(b"#" * 2048)
        (environment / COMPLETE).touch()
        aged(environment, days)
    shown = quick("clean", "--dry-run").stdout.splitlines()
    assert (shown[0].split()[0], shown[0].split()[-1]) == (
        "environment",
        str(tmp_path / "cache" / "environments" / "old"),
    )
    assert shown[1].startswith("Kept: 1 environment of today")
    assert "Removed 1 of 1 item" in quick("clean", "--yes").stdout
    assert [path.name for path in (tmp_path / "cache" / "environments").iterdir()] == ["new"]


def test_what_environments_share_counts_once_and_as_kept(quick, tmp_path):
    names = ("dependencies-1", "package-1", "package-2")
    folders = [tmp_path / "cache" / "environments" / name for name in names]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "own").write_bytes(bytes(2 << 20))
        (folder / COMPLETE).touch()
    (folders[0] / "shared").write_bytes(bytes(7 << 20))
    for folder in folders[1:]:
        (folder / "shared").hardlink_to(folders[0] / "shared")

    def sizes():
        """What is old, with its MiB, and the number and MiB of what is kept."""
        found = environments_in_cache()
        old = {item.path.name: item.size_bytes >> 20 for item in found.unused}
        return old, found.kept, found.kept_bytes >> 20

    assert sizes() == ({}, 3, 13)
    aged(folders[1], 2)
    assert sizes() == ({"package-1": 2}, 2, 11)
    aged(folders[0], 2)
    aged(folders[2], 2)
    old, kept, _ = sizes()
    assert (sum(old.values()), kept) == (13, 0)


def test_an_environment_without_an_end_is_removed_unless_a_process_makes_it(quick, tmp_path):
    for name in ("package-1", "package-1-copy", "package-2"):
        (tmp_path / "cache" / "environments" / name).mkdir(parents=True)
    venv = tmp_path / "cache" / "environments" / "package-1"
    with exclusive(venv, progress=None):
        assert [each.path.name for each in environments_in_cache().unused] == ["package-2"]
        assert "Removed 1 of 1 item" in quick("clean", "--yes").stdout
    assert "Removed 2 of 2 items" in quick("clean", "--yes").stdout
    assert not venv.exists()
