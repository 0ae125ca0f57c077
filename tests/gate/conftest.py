"""A git repository with a suite in it, for the tests of environments made from commits."""

import subprocess

import pytest
from support.repository import TWO


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The top of a repository with one commit, and a function that calls git in it."""
    for role in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{role}_NAME", "test")
        monkeypatch.setenv(f"GIT_{role}_EMAIL", "test@example.org")
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    top = tmp_path / "project"
    top.mkdir()

    def call(*arguments):
        done = subprocess.run(["git", "-C", top, *arguments], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    call("init", "-q", "-b", "main")
    (top / "gate.toml").write_text(TWO)
    call("add", "-A")
    call("commit", "-qm", "one")
    return top, call
