"""The switches for repeatable bits are set for a GPU, put back, and refused where it is too late."""

import pytest
import torch

from convmixer import ConvMixerError
from convmixer.determinism import prepare_determinism, use_algorithms

VARIABLE = "CUBLAS_WORKSPACE_CONFIG"
CUDA, CPU = torch.device("cuda"), torch.device("cpu")


def read_switches() -> dict[str, bool]:
    return {
        "cudnn.deterministic": torch.backends.cudnn.deterministic,
        "cudnn.benchmark": torch.backends.cudnn.benchmark,
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "fill": torch.utils.deterministic.fill_uninitialized_memory,
    }


@pytest.mark.parametrize("deterministic", [True, False])
def test_a_gpu_gets_the_switches_and_they_are_put_back(deterministic: bool) -> None:
    before = read_switches()
    with pytest.raises(KeyError), use_algorithms(CUDA, deterministic=deterministic):
        assert read_switches() == {
            "cudnn.deterministic": deterministic,
            "cudnn.benchmark": not deterministic,
            "deterministic algorithms": deterministic,
            "fill": False,
        }
        raise KeyError
    assert read_switches() == before


@pytest.mark.parametrize("deterministic", [True, False])
def test_on_a_cpu_nothing_is_switched(deterministic: bool) -> None:
    before = read_switches()
    with use_algorithms(CPU, deterministic=deterministic):
        assert read_switches() == before


def test_the_workspace_is_set_before_cuda_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    environment: dict[str, str] = {}
    monkeypatch.setattr("convmixer.determinism.os.environ", environment)
    prepare_determinism(CPU)
    assert environment == {}
    prepare_determinism(CUDA)
    assert environment == {VARIABLE: ":4096:8"}
    environment[VARIABLE] = ":16:8"
    prepare_determinism(CUDA)
    assert environment == {VARIABLE: ":16:8"}


def test_it_is_refused_when_cuda_has_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    with pytest.raises(ConvMixerError) as caught:
        prepare_determinism(CUDA)
    assert str(caught.value) == (
        "train: deterministic is True, but the environment's CUBLAS_WORKSPACE_CONFIG is None, and CUDA has started, so "
        "that it is too late to set it; expected ':4096:8' or ':16:8': set it before Python starts, or give "
        "deterministic=False"
    )


def test_another_workspace_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, ":0:0")
    with pytest.raises(ConvMixerError) as caught:
        prepare_determinism(CUDA)
    assert str(caught.value) == (
        "train: deterministic is True, but the environment's CUBLAS_WORKSPACE_CONFIG is ':0:0'; expected ':4096:8' or "
        "':16:8': set it before Python starts, or give deterministic=False"
    )
