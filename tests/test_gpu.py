"""What is said where our kernels cannot run; and the captured step, on a GPU or with a GPU's part played."""

import contextlib
import importlib.util
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convmixer import ConvMixerError, gpu
from convmixer.gpu import GraphedStep, find_obstacle, find_obstacle_of_model
from convmixer.model import ConvMixer


def make_model(patch_size: int = 2, **switches: str) -> ConvMixer:
    return ConvMixer(width=4, depth=1, patch_size=patch_size, kernel_size=3, num_classes=2, **switches)


@pytest.fixture
def with_gpu(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    return monkeypatch


def test_a_recent_gpu_and_a_convmixer_are_no_obstacle(with_gpu: pytest.MonkeyPatch) -> None:
    assert find_obstacle(make_model(), 32, "cuda") is None


def test_a_cpu_is_an_obstacle() -> None:
    assert find_obstacle(make_model(), 32, "cpu") == "it needs an NVIDIA GPU"


def test_an_old_gpu_is_an_obstacle(with_gpu: pytest.MonkeyPatch) -> None:
    with_gpu.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    expected = "it needs a GPU of compute capability 8.0 or newer, and this is 7.5"
    assert find_obstacle(make_model(), 32, "cuda:0") == expected


def test_a_missing_triton_is_an_obstacle(with_gpu: pytest.MonkeyPatch) -> None:
    with_gpu.setattr(importlib.util, "find_spec", lambda name: None)
    assert find_obstacle(make_model(), 32, "cuda") == "Triton is not installed"


@pytest.mark.parametrize(
    ("model", "image_size", "expected"),
    [
        (nn.Flatten(), 32, "it computes a ConvMixer, and this is a Flatten"),
        (make_model(), 33, "it needs images that patches tile, and 33 is no multiple of 2"),
        (make_model(1), 65, "it computes up to 64 patches a side, and these are 65"),
        (make_model(1), 64, None),
    ],
)
def test_what_the_kernels_do_not_compute_is_an_obstacle(
    model: nn.Module, image_size: int, expected: str | None
) -> None:
    assert find_obstacle_of_model(model, image_size) == expected


def make_step(device: str) -> tuple[Callable[[Tensor, Tensor], tuple[Tensor, ...]], nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.Linear(4, 3)).to(device)
    options = {"fused": True, "capturable": True} if device == "cuda" else {}
    optimiser = torch.optim.AdamW(model.parameters(), lr=torch.tensor(0.01, device=device), **options)

    def step(inputs: Tensor, labels: Tensor) -> tuple[Tensor, ...]:
        optimiser.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(inputs), labels)
        loss.backward()
        optimiser.step()
        return (loss.detach(),)

    return step, model, optimiser


def train(device: str, graphed: bool, fresh: bool) -> tuple[list[float], dict[str, Tensor]]:
    """Losses and state after four batches, the last one smaller, the learning rate changing."""
    step, model, optimiser = make_step(device)
    generator = torch.Generator().manual_seed(1)
    batches = [
        (torch.randn(n, 5, generator=generator).to(device), torch.arange(n, device=device) % 3) for n in (8, 8, 8, 5)
    ]
    if not fresh:
        step(*batches[0])  # the optimiser has a state already, as after a checkpoint
    run = GraphedStep(step, batches[0], model, optimiser) if graphed else step
    losses = []
    for number, batch in enumerate(batches):
        optimiser.param_groups[0]["lr"].fill_(0.01 * (number + 1))
        losses.append(run(*batch)[0].item())
    return losses, model.state_dict()


def test_inputs_on_a_cpu_are_refused() -> None:
    step, model, optimiser = make_step("cpu")
    with pytest.raises(ConvMixerError) as caught:
        GraphedStep(step, (torch.zeros(8, 5), torch.zeros(8).long()), model, optimiser)
    assert str(caught.value) == "GraphedStep: the inputs are on cpu, cpu; expected all on one GPU"


def play_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let GraphedStep work on a CPU: its graph does the step again from and to the same memory, as CUDA's does."""

    def capture(self: GraphedStep) -> tuple[SimpleNamespace, tuple[Tensor, ...]]:
        outputs = (torch.zeros(()),)
        return SimpleNamespace(replay=lambda: outputs[0].copy_(self._step(*self._inputs)[0])), outputs

    stream = SimpleNamespace(wait_stream=lambda other: None)
    monkeypatch.setattr(gpu, "_refuse_other_devices", lambda inputs: None)
    monkeypatch.setattr(GraphedStep, "_capture", capture)
    monkeypatch.setattr(torch.cuda, "Stream", lambda: stream)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())


@pytest.mark.parametrize("fresh", [True, False])
def test_a_captured_step_does_what_the_step_does(monkeypatch: pytest.MonkeyPatch, fresh: bool) -> None:
    """Warming up leaves no trace; without a GPU its part is played, which tries all but the capture itself."""
    if not torch.cuda.is_available():
        play_gpu(monkeypatch)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    captured, plain = train(device, graphed=True, fresh=fresh), train(device, graphed=False, fresh=fresh)
    torch.testing.assert_close(captured, plain, rtol=0, atol=0)
