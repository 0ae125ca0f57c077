"""The identity of a host, and what a machine lacks for some measurements."""

import msgspec
import pytest
from support.records import MACHINE

from harness.core.machine.description import Host, Machine, describe_machine, missing_facilities, this_host


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


# What a machine lacks for some measurements.


def names(**changes):
    return {facility.name for facility in missing_facilities(**changes)}


def test_a_gpu_and_counters_that_are_there_are_not_listed(tmp_path):
    devices, powercap = tmp_path / "dev", tmp_path / "powercap"
    package = powercap / "intel-rapl:0"
    assert {"NVIDIA GPU", "CPU energy counters (RAPL)"} <= names(devices=devices, powercap=powercap)
    devices.mkdir()
    (devices / "nvidia0").touch()
    package.mkdir(parents=True)
    for name, text in (("name", "package-0"), ("energy_uj", "1"), ("max_energy_range_uj", "9")):
        (package / name).write_text(text)
    assert not {"NVIDIA GPU", "CPU energy counters (RAPL)"} & names(devices=devices, powercap=powercap)


def test_counters_for_root_alone_are_told_apart_from_none(tmp_path):
    (tmp_path / "intel-rapl:0").mkdir()
    reasons = {facility.name: facility.reason for facility in missing_facilities(powercap=tmp_path)}
    assert reasons["CPU energy counters (RAPL)"] == "only root may read them"


def test_the_compiler_is_the_one_that_the_user_names():
    (compiler,) = [
        facility for facility in missing_facilities({"CXX": "no-such-c++"}) if facility.name == "C++ compiler"
    ]
    assert "no-such-c++ is not installed" in compiler.reason
