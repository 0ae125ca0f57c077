"""Energy counters as Linux shows them: packages, their parts, a counter that starts again, none at all."""

import sys
import types

import pytest

from harness.core.machine.energy import EnergyMeter


@pytest.fixture
def powercap(tmp_path):
    zones = (
        ("intel-rapl:0", "package-0", 5e6),
        ("intel-rapl:0:0", "core", 3e6),
        ("intel-rapl:1", "package-1", 99e6),
        ("intel-rapl:2", "psys", 1e6),
    )
    for folder, name, microjoules in zones:
        zone = tmp_path / folder
        zone.mkdir()
        (zone / "name").write_text(f"{name}\n")
        (zone / "max_energy_range_uj").write_text("100000000\n")
        (zone / "energy_uj").write_text(f"{microjoules:.0f}\n")
    return tmp_path


def test_packages_are_added_without_their_parts_and_across_a_counters_end(powercap):
    meter = EnergyMeter([("cpu", None)], powercap)
    before = meter.read()
    (powercap / "intel-rapl:0" / "energy_uj").write_text("7500000\n")
    (powercap / "intel-rapl:0:0" / "energy_uj").write_text("4500000\n")
    (powercap / "intel-rapl:1" / "energy_uj").write_text("1000000\n")
    (powercap / "intel-rapl:2" / "energy_uj").write_text("9000000\n")  # the board, packages and all
    assert meter.between(before, meter.read()) == pytest.approx(2.5 + 2.0)


def test_a_counter_that_fails_once_loses_only_its_own_energy(powercap, monkeypatch):
    nvml = FakeNvml(["NVIDIA H100"])
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    meter = EnergyMeter([("cuda:0 (NVIDIA H100)", None)], powercap)
    whole = meter.read()
    (powercap / "intel-rapl:1" / "energy_uj").unlink()
    nvml.nvmlDeviceGetTotalEnergyConsumption = None  # as an error of NVML's
    partly = meter.read()
    assert set(partly) == {str(powercap / "intel-rapl:0")}
    assert meter.between(whole, partly) is meter.between(partly, partly) is None
    assert meter.between(whole, whole) == 0.0


def test_without_counters_nothing_is_reported(tmp_path):
    meter = EnergyMeter([("cpu", None)], tmp_path)
    assert meter.between(meter.read(), meter.read()) is None


class FakeNvml(types.ModuleType):
    """Counts in millijoules from where it was, as NVML does; a device's handle is its number."""

    def __init__(self, names):
        super().__init__("pynvml")
        self.nvmlInit = lambda: None
        self.nvmlDeviceGetHandleByIndex = lambda index: list(range(len(names)))[index]
        self.nvmlDeviceGetHandleByUUID = lambda uuid: {"GPU-b": 1}[uuid]
        self.nvmlDeviceGetName = lambda handle: names[handle]
        self.told = [1000.0] * len(names)
        self.nvmlDeviceGetTotalEnergyConsumption = lambda handle: self.told[handle]


# A program sees the one GPU that its process may use, and calls it the first.
@pytest.mark.parametrize(
    ("device", "visible", "joules"),
    [
        ("cuda:0 (NVIDIA H100)", None, 8.0),
        ("cuda:0 (NVIDIA H100)", "1", 3.0),
        ("cuda:1 (NVIDIA H100)", "1,0", 8.0),
        ("cuda:0 (NVIDIA H100)", "GPU-b", 3.0),
        ("cuda", "0", 8.0),
    ],
)
def test_the_gpu_of_a_configuration_counts_too(powercap, monkeypatch, device, visible, joules):
    nvml = FakeNvml(["NVIDIA H100", "NVIDIA H100"])
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    meter = EnergyMeter([(device, visible), ("cpu", "-1")], powercap)
    before = meter.read()
    nvml.told = [9000.0, 4000.0]
    assert meter.between(before, meter.read()) == pytest.approx(joules)


@pytest.mark.parametrize(
    ("device", "visible", "names"),
    [
        ("cuda:0 (NVIDIA H100)", None, []),
        ("cuda:0 (NVIDIA H100)", None, ["NVIDIA T4"]),  # NVML's first is not CUDA's first
        ("cuda:1 (NVIDIA H100)", "0", ["NVIDIA H100"]),
        ("cuda:0 (NVIDIA H100)", "GPU-unknown", ["NVIDIA H100"]),
        ("cuda-like accelerator", None, ["NVIDIA H100"]),
    ],
)
def test_a_gpu_that_nvml_does_not_know_is_none(tmp_path, monkeypatch, device, visible, names):
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml(names))
    assert not EnergyMeter([(device, visible)], tmp_path).available


def test_the_processors_energy_is_not_reported_for_a_configuration_on_a_gpu(powercap, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)  # it is not installed
    assert not EnergyMeter([("cuda:0 (NVIDIA H100)", None), ("cpu", "-1")], powercap).available
    assert not EnergyMeter([("tpu:0 (TPU v5)", None)], powercap).available
    assert EnergyMeter([("cpu", "-1")], powercap).available


def test_a_counter_that_may_not_be_read_is_none(powercap):
    for zone in powercap.iterdir():
        (zone / "energy_uj").unlink()
        (zone / "energy_uj").mkdir()  # what a person without the right to read it meets: an OSError
    assert not EnergyMeter([("cpu", None)], powercap).available
