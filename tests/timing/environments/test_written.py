"""Files that were written while a gate ran, and those that were not."""

import os
import time

import pytest
from support.repository import add_commit

from harness.errors import UsageError
from harness.timing.environments import cache
from harness.timing.environments.imports import refuse_installed_copy
from harness.timing.environments.written import WrittenFiles


@pytest.fixture
def files(tmp_path):
    """A module of a checkout, and one of an environment that another environment shares."""
    add_commit(tmp_path / "base", {"net/a.py": "A = 1\n", "net/data.json": "{}"})
    installed = tmp_path / "venv" / "lib" / "site-packages" / "b.py"
    installed.parent.mkdir(parents=True)
    installed.write_text("B = 1\n")
    os.link(installed, tmp_path / "b.py")
    time.sleep(0.02)  # ctimes are as coarse as the kernel's ticks
    return tmp_path / "base" / "net" / "a.py", installed


def watch(files):
    written = WrittenFiles()
    written.add("base", map(str, files))
    written.add_checkout("base", str(files[0].parent))
    time.sleep(0.02)
    return written


def test_what_is_read_and_linked_is_not_written(files, tmp_path):
    written = watch(files)
    files[0].read_text()
    (files[0].parent / "__pycache__").mkdir()
    (files[0].parent / "__pycache__" / "a.cpython-311.pyc").write_bytes(b"")
    (files[0].parent / "log.txt").write_text("its own processes may write")
    os.link(files[1], tmp_path / "another-environment.py")
    assert written.first() is None


def test_a_file_that_was_restored_is_found(files):
    for file, named in zip(files, ("net/a.py", "b.py"), strict=True):
        written = watch(files)
        text, status = file.read_text(), file.stat()
        file.write_text("")
        file.write_text(text)
        os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
        assert written.first() == ("base", named)


def test_new_code_and_changed_data_in_a_checkout_are_found(files):
    for name, text in (("data.json", "[]"), ("new.py", "")):
        written = watch(files)
        (files[0].parent / name).write_text(text)
        assert written.first() == ("base", f"net/{name}")
    written = watch(files)
    (files[0].parent.parent / "linked").symlink_to(files[1].parent)
    assert written.first() == ("base", "linked")


def test_an_environment_in_the_cache_is_made_again_after_a_write(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path))
    venv = tmp_path / "environments" / "package-1"
    (venv / "bin").mkdir(parents=True)
    (venv / cache.COMPLETE).touch()
    cache.forget("/usr/bin/python3")
    assert (venv / cache.COMPLETE).exists()
    cache.forget(str(venv / "bin" / "python"))
    assert not (venv / cache.COMPLETE).exists()


def test_an_installed_copy_of_the_code_of_a_commit_is_refused(tmp_path):
    top, packages = tmp_path / "top", tmp_path / "lib" / "site-packages"
    add_commit(top, {"python/net/a.py": "A = 1\n", "python/net/__init__.py": "", "b.py": "B = 2\n"})
    (packages / "net").mkdir(parents=True)
    for name, text in {"net/a.py": "A = 1\n", "net/__init__.py": "", "b.py": "B = 1\n"}.items():
        (packages / name).write_text(text)
    others = [str(packages / "net" / "__init__.py"), str(packages / "b.py")]
    refuse_installed_copy("base and head", others, [str(top)])
    with pytest.raises(UsageError, match=r"installed net/a\.py, a copy of python/net/a\.py"):
        refuse_installed_copy("base and head", [*others, str(packages / "net" / "a.py")], [str(top)])
