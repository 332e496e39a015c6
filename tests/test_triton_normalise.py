"""Activation, batch normalisation and residual in one kernel against float64, everything allocated being poisoned."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from tests.interpreted import DEVICE, import_kernels, poison_allocations, relative_error

kernels = import_kernels("convmixer.triton_normalise")

WIDTH = 3
# (batch, positions): one value and two parts of a program's 8,192 elements among them
SHAPES = [(2, 1), (1, 25), (3, 49), (17, 64), (9, 1024)]
# float32 rounds to 6e-8, and the normal distribution's tail is right to 0.75e-7. bfloat16 rounds the result to 2**-9,
# the interpreter to 2**-8, since it cuts off; the gradients to parameters are sums in float32 of unrounded numbers.
TOLERANCES = {torch.float32: 3e-6, torch.bfloat16: 8e-3}
MOMENTUM, EPS = 0.1, 1e-5


@pytest.fixture(autouse=True)
def poison(monkeypatch: pytest.MonkeyPatch) -> None:
    poison_allocations(monkeypatch)


def draw(*shape: int, dtype: torch.dtype = torch.float32, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(DEVICE, dtype)


def make_norm(training: bool) -> object:
    gamma, beta, mean, variance = (draw(WIDTH, seed=seed) for seed in range(1, 5))
    return kernels.BatchNorm(gamma, beta, mean, variance.abs() + 0.5, training, MOMENTUM, EPS)


def widen(*tensors: Tensor) -> list[Tensor]:
    return [tensor.detach().cpu().double().requires_grad_() for tensor in tensors]


def expect(y: Tensor, bias: Tensor, norm: object, activation: str, residual: Tensor | None, gradient: Tensor) -> dict:
    """Result, gradients and running statistics by torch in float64."""
    inputs = widen(y, bias, norm.gamma, norm.beta)
    wide_y, wide_bias, gamma, beta = inputs
    mean, variance = (tensor.detach() for tensor in widen(norm.running_mean, norm.running_variance))
    activated = getattr(F, activation)(wide_y + wide_bias.view(-1, 1, 1)).flatten(1).T
    result = F.batch_norm(activated, mean, variance, gamma, beta, norm.training, MOMENTUM, EPS).T.view(y.shape)
    if residual is not None:
        result = result + residual.cpu().double()
    gradients = torch.autograd.grad(result, inputs, gradient.cpu().double())
    return {"result": result.detach(), "gradients": gradients, "mean": mean, "variance": variance}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("activation", ["gelu", "relu"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_result_gradients_and_running_statistics_are_those_of_float64(
    shape: tuple[int, int], training: bool, activation: str, dtype: torch.dtype
) -> None:
    y, gradient, residual = (draw(WIDTH, *shape, dtype=dtype, seed=seed) for seed in (5, 6, 7))
    bias, norm, with_residual = draw(WIDTH, seed=8), make_norm(training), residual if shape[0] > 2 else None
    expected = expect(y, bias, norm, activation, with_residual, gradient)
    statistics = kernels.gather_statistics(y, bias, activation) if training else None
    result, moments = kernels.normalise(y, bias, norm, statistics, activation, with_residual)
    assert result.dtype == dtype
    assert relative_error(result, expected["result"]) < TOLERANCES[dtype]
    torch.testing.assert_close(norm.running_mean.cpu().double(), expected["mean"], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(norm.running_variance.cpu().double(), expected["variance"], rtol=1e-5, atol=1e-6)
    found = kernels.normalise_gradient(gradient, y, bias, norm.gamma, moments, activation, training)
    for one, other in zip(found, expected["gradients"], strict=True):
        assert (one.detach().cpu().double() - other).norm() <= TOLERANCES[dtype] * (other.norm() + gradient_scale(y))


def gradient_scale(y: Tensor) -> float:
    """Gradients are sums that may cancel to nothing: their rounding goes by the size of what is summed."""
    return math.sqrt(y[0].numel())


def test_the_bias_gradient_is_summed_before_it_is_rounded() -> None:
    """A sum of 9,216 bfloat16 numbers of float32 exactness: rounding each first would be wrong by some 1e-3."""
    y, gradient = (draw(WIDTH, 9, 1024, dtype=torch.bfloat16, seed=seed) for seed in (5, 6))
    bias, norm = draw(WIDTH, seed=8), make_norm(False)
    _, moments = kernels.normalise(y, bias, norm, None, "gelu", None)
    _, to_bias, _, _ = kernels.normalise_gradient(gradient, y, bias, norm.gamma, moments, "gelu", False)
    assert relative_error(to_bias, expect(y, bias, norm, "gelu", None, gradient)["gradients"][1]) < 3e-6


def test_a_large_mean_does_not_drown_the_variance() -> None:
    """At a mean of 1,000 and a deviation of 1, E[x^2] - E[x]^2 in float32 would have no digit of the variance right."""
    y, norm = 1000 + draw(WIDTH, 9, 1024, seed=5), make_norm(True)
    bias = torch.zeros(WIDTH, device=DEVICE)
    _, moments = kernels.normalise(y, bias, norm, kernels.gather_statistics(y, bias, "relu"), "relu", None)
    variance = y.cpu().double().flatten(1).var(1, correction=0)
    torch.testing.assert_close(moments[1].cpu().double() ** -2, variance + EPS, rtol=1e-5, atol=0)


def test_gelu_and_its_slope_are_right_to_the_rounding_of_float32() -> None:
    y = torch.linspace(-12, 12, 6001, device=DEVICE).view(1, 1, -1)
    one, zero = torch.ones(1, device=DEVICE), torch.zeros(1, device=DEVICE)
    norm = kernels.BatchNorm(one, zero, zero, one, False, MOMENTUM, 0.0)
    result, moments = kernels.normalise(y, zero, norm, None, "gelu", None)
    slope, *_ = kernels.normalise_gradient(torch.ones_like(y), y, zero, one, moments, "gelu", False)
    (wide,) = widen(y)
    expected = F.gelu(wide)
    (expected_slope,) = torch.autograd.grad(expected.sum(), wide)
    torch.testing.assert_close(result.cpu().double(), expected.detach(), rtol=2e-7, atol=3e-7)
    torch.testing.assert_close(slope.cpu().double(), expected_slope, rtol=3e-7, atol=3e-7)


def test_the_same_inputs_give_the_same_bits() -> None:
    y, bias = draw(WIDTH, 9, 1024), draw(WIDTH, seed=8)
    results = [
        kernels.normalise(y, bias, make_norm(True), kernels.gather_statistics(y, bias, "gelu"), "gelu", None)[0]
        for _ in range(2)
    ]
    assert torch.equal(*results)
