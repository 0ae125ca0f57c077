"""Workers share no compilations: each gets empty folders in the variables that its backend names."""

import os
import tempfile
from pathlib import Path

import pytest

from harness.core.plugins import registry
from harness.core.reference.training import NumpyBackend
from harness.core.worker import protocol
from harness.core.worker.requests import Worker


class Caching(NumpyBackend):
    """Writes into its cache when it is imported, as a framework that compiles does."""

    compilation_caches = ("MY_CACHE_DIR", "MY_OTHER_CACHE_DIR")

    def __init__(self):
        self.found = []

    def environment(self, threads):
        for variable in self.compilation_caches:
            folder = Path(os.environ[variable])
            self.found.append((folder, list(folder.iterdir())))
            (folder / "kernel").touch()
        return super().environment(threads)


@pytest.fixture
def caching(monkeypatch, tmp_path):
    backend = Caching()
    monkeypatch.setattr(registry, "backend", lambda _: backend)
    monkeypatch.setattr(registry, "backend_distribution", lambda _: None)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("MY_CACHE_DIR", "/of/the/user")
    monkeypatch.setenv("MY_OTHER_CACHE_DIR", "")
    return backend


def test_each_worker_gets_empty_folders_and_all_other_variables_stay(caching, tmp_path):
    before = dict(os.environ)
    for _ in range(2):
        Worker().carry_out(protocol.Describe("caching", 1))
    folders = [folder for folder, _ in caching.found]
    assert len(set(folders)) == 4
    assert {folder.parent for folder in folders} == {tmp_path}
    assert [names for _, names in caching.found] == [[]] * 4
    changed = {name for name, value in os.environ.items() if before.get(name) != value}
    assert changed == {"MY_CACHE_DIR", "MY_OTHER_CACHE_DIR"}
