"""The machine's GPUs, as an NVML that is made up tells of them, and the threads that a run computes with."""

import sys
from types import SimpleNamespace

import pytest

from experiments.machine import count_cores, count_gpus, count_threads, read_energy_joules
from experiments.running.threads import THREAD_VARIABLES, limit_threads


class NVMLError(Exception):
    """What NVML raises."""


def make_nvml(*names: str) -> SimpleNamespace:
    """GPUs of these names; number n has the UUID GPU-n and has used n + 1 J."""
    return SimpleNamespace(
        NVMLError=NVMLError,
        nvmlInit=lambda: None,
        nvmlShutdown=lambda: None,
        nvmlDeviceGetCount=lambda: len(names),
        nvmlDeviceGetHandleByIndex=lambda index: index,
        nvmlDeviceGetName=lambda gpu: names[gpu],
        nvmlDeviceGetUUID=lambda gpu: f"GPU-{gpu}".encode(),
        nvmlDeviceGetTotalEnergyConsumption=lambda gpu: 1000 * (gpu + 1),
    )


@pytest.mark.parametrize(
    ("visible", "order", "names", "joules"),
    [
        (None, None, ("A", "A"), 1.0),
        ("1", None, ("A", "A"), 2.0),
        ("1,0", None, ("A", "A"), 2.0),
        ("GPU-1", None, ("A", "B"), 2.0),
        ("1", "PCI_BUS_ID", ("A", "B"), 2.0),
        ("1", None, ("A", "B"), None),  # CUDA may count the other way round
        ("GPU-", None, ("A", "A"), None),
        ("MIG-1", None, ("A",), None),
        ("5", None, ("A",), None),
        ("-1", None, ("A",), None),
        ("", None, ("A",), None),
        (None, None, (), None),
    ],
)
def test_energy_is_read_from_the_gpu_that_cuda_sees_first(
    monkeypatch: pytest.MonkeyPatch,
    visible: str | None,
    order: str | None,
    names: tuple[str, ...],
    joules: float | None,
) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", make_nvml(*names))
    for name, value in (("CUDA_VISIBLE_DEVICES", visible), ("CUDA_DEVICE_ORDER", order)):
        monkeypatch.delenv(name, raising=False)
        if value is not None:
            monkeypatch.setenv(name, value)
    assert read_energy_joules() == joules
    assert count_gpus() == len(names)


@pytest.mark.parametrize("variables", [limit_threads(1), {"OMP_NUM_THREADS": "3"}, {"OPENBLAS_NUM_THREADS": "5"}])
def test_a_run_without_torch_has_as_many_threads_as_its_libraries_are_let(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in THREAD_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert count_threads() == count_cores()
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert count_threads() == int(next(iter(variables.values())))
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(get_num_threads=lambda: 7))
    assert count_threads() == 7


@pytest.mark.parametrize("text", ["", "0", "two", "4,2"])
def test_a_limit_that_is_no_number_is_none(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in THREAD_VARIABLES:
        monkeypatch.setenv(name, text)
    assert count_threads() == count_cores()
