"""The identity of a host."""

import pytest

from harness.core.machine.description import describe_machine, this_host


@pytest.fixture(autouse=True)
def state_folder(tmp_path, monkeypatch):
    folder = tmp_path / "state"
    monkeypatch.setattr("platformdirs.user_state_dir", lambda _name: str(folder))
    this_host.cache_clear()
    yield folder
    this_host.cache_clear()


def test_the_identity_is_kept_and_does_not_reveal_the_name(monkeypatch):
    monkeypatch.setattr("platform.node", lambda: "alpha")
    first = this_host()
    this_host.cache_clear()
    assert describe_machine().host == this_host() == first
    assert len(first) == 12
    assert "alpha" not in first


def test_hosts_that_share_a_folder_have_identities_of_their_own(monkeypatch):
    found = set()
    for name in ("alpha", "beta"):
        monkeypatch.setattr("platform.node", lambda name=name: name)
        this_host.cache_clear()
        found.add(this_host())
    assert len(found) == 2


def test_without_a_writable_folder_there_is_no_identity(state_folder):
    state_folder.write_text("a file where the folder should be")
    assert this_host() is None
