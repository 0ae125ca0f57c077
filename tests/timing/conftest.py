"""A git repository with a suite in it, for the tests of environments made from commits."""

import functools

import pytest
from support.repository import TWO, add_commit, git


@pytest.fixture
def project(tmp_path, monkeypatch):
    """The top of a repository with one commit, and a function that calls git in it."""
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    top = tmp_path / "project"
    add_commit(top, {"gate.toml": TWO})
    return top, functools.partial(git, top)
