"""The identity of a host."""

import msgspec
import pytest
from support.records import MACHINE

from harness.core.machine.description import Host, Machine, describe_machine, this_host


@pytest.fixture(autouse=True)
def state_folder(tmp_path, monkeypatch):
    folder = tmp_path / "state"
    monkeypatch.setattr("platformdirs.user_state_dir", lambda _name: str(folder))
    this_host.cache_clear()
    yield folder
    this_host.cache_clear()


def test_the_id_is_kept():
    first = this_host()
    this_host.cache_clear()
    assert this_host() == first
    assert len(first.id) == 12
    assert first.id in first.text
    assert describe_machine().host == first


def test_without_a_writable_folder_the_name_remains(state_folder):
    state_folder.write_text("a file where the folder should be")
    assert this_host().id is None
    assert this_host().text == this_host().name


def test_two_equal_machines_are_two_machines():
    one, other = (msgspec.structs.replace(MACHINE, host=Host("node", identity)) for identity in ("1a", "2b"))
    assert one.model_text == other.model_text
    assert len({one.host_text, other.host_text, MACHINE.host_text}) == 3


def test_a_machine_of_an_earlier_version_is_readable():
    fields = msgspec.to_builtins(MACHINE)
    del fields["host"]
    assert msgspec.convert(fields, Machine).host_text == ""
