"""What a machine lacks for some measurements."""

from harness.machine.description import missing_facilities


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
