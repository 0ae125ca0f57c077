"""Energy counters as Linux shows them: packages, their parts, a counter that starts again, none at all."""

import sys
import types

import pytest

from harness.duel.energy import EnergyMeter


@pytest.fixture
def powercap(tmp_path):
    for name, microjoules in (("intel-rapl:0", 5e6), ("intel-rapl:0:0", 3e6), ("intel-rapl:1", 99e6)):
        zone = tmp_path / name
        zone.mkdir()
        (zone / "max_energy_range_uj").write_text("100000000\n")
        (zone / "energy_uj").write_text(f"{microjoules:.0f}\n")
    return tmp_path


def test_packages_are_added_without_their_parts_and_across_a_counters_end(powercap):
    meter = EnergyMeter(["cpu"], powercap)
    before = meter.read()
    (powercap / "intel-rapl:0" / "energy_uj").write_text("7500000\n")
    (powercap / "intel-rapl:0:0" / "energy_uj").write_text("4500000\n")
    (powercap / "intel-rapl:1" / "energy_uj").write_text("1000000\n")
    assert meter.between(before, meter.read()) == pytest.approx(2.5 + 2.0)


def test_where_nothing_counts_nothing_is_told(tmp_path):
    meter = EnergyMeter(["cpu"], tmp_path)
    assert meter.between(meter.read(), meter.read()) is None


class FakeNvml(types.ModuleType):
    """Counts in millijoules from where it was, as NVML does, for as many devices as there are."""

    def __init__(self, count):
        super().__init__("pynvml")
        self.nvmlInit = lambda: None
        self.nvmlDeviceGetHandleByIndex = lambda index: list(range(count))[index]
        self.told = [1000.0] * count
        self.nvmlDeviceGetTotalEnergyConsumption = lambda handle: self.told[handle]


def test_the_gpu_that_a_side_runs_on_counts_too(powercap, monkeypatch):
    nvml = FakeNvml(2)
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    meter = EnergyMeter(["cuda:1", "cpu"], powercap)
    before = meter.read()
    nvml.told = [9000.0, 4000.0]
    assert meter.between(before, meter.read()) == pytest.approx(3.0)


def test_a_gpu_that_nvml_does_not_know_is_none(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", FakeNvml(0))
    assert not EnergyMeter(["cuda:0"], tmp_path).available


def test_a_counter_that_may_not_be_read_is_none(powercap):
    for zone in powercap.iterdir():
        (zone / "energy_uj").unlink()
        (zone / "energy_uj").mkdir()  # what a person without the right to read it meets: an OSError
    assert not EnergyMeter(["cpu"], powercap).available
