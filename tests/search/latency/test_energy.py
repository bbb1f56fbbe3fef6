"""Energy counters: made-up powercap folders, and a stand-in for NVML's package."""

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from search.latency import energy
from search.latency.energy import energy_counters, energy_joules, gpu_energy_counters

UUID = "01234567-89ab-cdef-0123-456789abcdef"


class NVMLError(Exception):
    """As the package calls it."""


class FakeNVML:
    """One GPU whose counter each reading finds 1500 mJ further."""

    NVMLError = NVMLError

    def __init__(self, known: str = f"GPU-{UUID}", *, counts: bool = True) -> None:
        self.known, self.counts = known, counts
        self.millijoules, self.opened = 7_000, 0

    def nvmlInit(self) -> None:
        self.opened += 1

    def nvmlShutdown(self) -> None:
        self.opened -= 1

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        if uuid != self.known:
            raise NVMLError("Not Found")
        return uuid

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: str) -> int:
        assert self.opened == 1 and handle == self.known
        if not self.counts:
            raise NVMLError("Not Supported")
        self.millijoules += 1_500
        return self.millijoules


@pytest.fixture(autouse=True)
def _one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid=UUID))


def install(monkeypatch: pytest.MonkeyPatch, package: Any) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", package)


def test_a_gpu_session_takes_the_joules_between_two_readings(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = FakeNVML()
    install(monkeypatch, nvml)
    before, after = gpu_energy_counters("cuda"), gpu_energy_counters("cuda")
    assert energy_joules(before, after) == 1.5
    assert nvml.opened == 0


def test_the_energy_of_a_gpu_is_missing_without_package_counter_or_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, None)  # an import of it fails
    assert gpu_energy_counters("cuda") is None
    for nvml in (FakeNVML(counts=False), FakeNVML(known="GPU-of-another")):
        install(monkeypatch, nvml)
        assert gpu_energy_counters("cuda:0") is None
        assert nvml.opened == 0
    install(monkeypatch, FakeNVML())
    assert gpu_energy_counters("cpu") is None


def test_packages_of_a_processor_are_read_and_their_parts_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(energy, "_POWER", tmp_path)
    assert energy_counters() is None
    for name, count in (("intel-rapl:0", "9000000"), ("intel-rapl:0:0", "5"), ("intel-rapl:1", "secret")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "energy_uj").write_text(f"{count}\n")
        (tmp_path / name / "max_energy_range_uj").write_text("10000000\n")
    before = energy_counters()
    assert before == {"intel-rapl:0": (9_000_000, 10_000_000)}
    assert energy_joules(before, {"intel-rapl:0": (1_000_000, 10_000_000)}) == 2.0
    assert energy_joules(None, before) is energy_joules(before, None) is None
