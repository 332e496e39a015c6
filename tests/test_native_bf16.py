"""The C++ kernels with activations in bf16 compute what float64 computes of the same bf16 inputs, up to one rounding."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from convmixer import ConvMixerError, native
from convmixer.cpu import forward_native
from convmixer.data import load
from convmixer.model import ConvMixer
from convmixer.native import Kernels, Norm, NormGradients
from convmixer.recipe import choose_recipe
from convmixer.streams import seed_everything
from convmixer.train import train
from tests.native_layers import as_images, make_norm, poison_outputs

# torch tells, once, that an even kernel may need a padded copy of its input.
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")

BF16 = torch.bfloat16
ROUNDING = 2**-8  # twice the greatest relative error of rounding to bf16


@pytest.fixture(scope="module")
def kernels() -> Kernels:
    loaded = native.load()
    if isinstance(loaded, str):
        pytest.skip(f"SKIPPED, BF16 ON A CPU IS NOT TESTED: {loaded}")
    if not loaded.has_bf16:
        pytest.skip("SKIPPED, BF16 ON A CPU IS NOT TESTED: processor or compiler does not know avx512_bf16")
    return loaded


@pytest.fixture(autouse=True)
def poisoned_outputs() -> Iterator[None]:
    torch.manual_seed(0)
    with poison_outputs():
        yield


def draw(*shape: int) -> Tensor:
    return torch.randn(shape).to(BF16)


def make_random_norm(channels: int, activation: str) -> Norm:
    vectors = {"bias": torch.randn(channels) / 2, "weight": torch.rand(channels) + 0.5, "shift": torch.randn(channels)}
    return make_norm(channels, activation=activation, **vectors)


class Exact:
    """activation, norm and shortcut of (images, channels, grid, grid) in float64, with the gradients that dz gives."""

    def __init__(self, norm: Norm, y: Tensor, dz: Tensor, shortcut: Tensor | None) -> None:
        leaves = [value.double().requires_grad_() for value in (y, norm.bias, norm.weight, norm.shift)]
        activated = getattr(F, norm.activation)(leaves[0] + leaves[1][:, None, None])
        z = F.batch_norm(activated, None, None, leaves[2], leaves[3], training=True, eps=norm.epsilon)
        self.z = z.detach() if shortcut is None else z.detach() + shortcut.double()
        self.dy, self.bias, self.weight, self.shift = torch.autograd.grad(z, leaves, dz.double())
        self.measure = (self.dy.norm() + dz.double().norm()).item()  # of sums of these


def assert_rounded(found: Tensor, exact: Tensor) -> None:
    """``found`` is ``exact``, rounded once to bf16; an eighth of a rounding of the largest is left to sums in fp32."""
    assert found.dtype == BF16
    torch.testing.assert_close(found.double(), exact, rtol=ROUNDING, atol=ROUNDING / 8 * exact.abs().max().item())


def assert_close(found: Tensor, exact: Tensor, measure: float) -> None:
    """A sum in fp32 is as exact as one: ``measure`` is the size of what was added."""
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), exact, rtol=1e-4, atol=1e-5 * measure)


def assert_norm_gradients(found: NormGradients, exact: Exact) -> None:
    for name in ("bias", "weight", "shift"):
        assert_close(getattr(found, name), getattr(exact, name), exact.measure)


@pytest.mark.parametrize(
    ("rows", "inner", "columns"), [(1, 1, 1), (6, 3, 16), (7, 5, 17), (30, 256, 200), (13, 1601, 40), (8, 4, 145)]
)
@pytest.mark.parametrize("transposed", [False, True])
def test_products_of_any_size(kernels: Kernels, rows: int, inner: int, columns: int, transposed: bool) -> None:
    a, b = torch.randn(rows, inner), draw(inner, columns)
    found = kernels.multiply(a.T.contiguous() if transposed else a, b, transposed=transposed)
    assert_rounded(found, a.to(BF16).double() @ b.double())


@pytest.mark.parametrize(
    ("rows", "others", "columns"), [(1, 1, 1), (13, 32, 256), (14, 33, 257), (30, 12, 1600), (5, 70, 511), (27, 3, 2)]
)
def test_the_gradient_of_a_weight_of_any_size(kernels: Kernels, rows: int, others: int, columns: int) -> None:
    a, b = draw(rows, columns), draw(others, columns)
    assert_close(kernels.multiply_transposed(a, b), a.double() @ b.double().T, columns**0.5)


@pytest.mark.parametrize("activation", ["gelu", "relu"])
@pytest.mark.parametrize("columns", [2, 16, 37, 512, 1311])
def test_activation_and_norm(kernels: Kernels, columns: int, activation: str) -> None:
    norm, y, dz = make_random_norm(3, activation), draw(3, columns), draw(3, columns)
    exact = Exact(norm, *(values.T[:, :, None, None] for values in (y, dz)), None)
    assert_rounded(kernels.normalise(norm, y), exact.z[:, :, 0, 0].T)
    dy, gradients = kernels.normalise_backward(norm, y, dz)
    assert_rounded(dy, exact.dy[:, :, 0, 0].T)
    assert_norm_gradients(gradients, exact)


@pytest.mark.parametrize("count", [5, 16, 37])
@pytest.mark.parametrize("grid", [2, 4, 5, 8, 9, 12, 16])  # of no whole number of tiles, of one, of two, of wide ones
@pytest.mark.parametrize("kernel_size", range(1, 10))
def test_the_depthwise_half_of_a_block(kernels: Kernels, kernel_size: int, grid: int, count: int) -> None:
    norm = make_random_norm(3, "gelu" if kernel_size % 4 else "relu")
    x, dz, weight = draw(3, count * grid**2), draw(3, count * grid**2), torch.randn(3, 1, kernel_size, kernel_size)
    leaves = [as_images(x, grid).double().requires_grad_(), weight.double().requires_grad_()]
    convolved = F.conv2d(*leaves, padding="same", groups=3)
    y, z = kernels.mix_places(norm, weight, x, grid)
    assert_rounded(as_images(y, grid), convolved.detach())
    exact = Exact(norm, *(as_images(values, grid) for values in (y, dz, x)))  # of the y that is kept, which is rounded
    assert_rounded(as_images(z, grid), exact.z)
    dx, weight_gradient, gradients = kernels.mix_places_backward(norm, weight, x, y, dz, grid)
    exact_dx, exact_weight_gradient = torch.autograd.grad(convolved, leaves, exact.dy)
    assert_rounded(as_images(dx, grid), exact_dx + as_images(dz, grid).double())
    assert_close(weight_gradient, exact_weight_gradient, exact.measure)
    assert_norm_gradients(gradients, exact)


def make_model() -> ConvMixer:
    torch.manual_seed(0)
    return ConvMixer(width=7, depth=3, patch_size=2, kernel_size=5, num_classes=4, in_channels=2)


def run(kernels: Kernels | None, dtype: torch.dtype, threads: int = 1) -> dict[str, Tensor]:
    """Logits, gradients and buffers after two steps; without kernels by torch's autocast, or plain in float64."""
    model, images = make_model(), torch.randn(37, 2, 24, 24, generator=torch.Generator().manual_seed(1))
    model, images = (model, images) if dtype == BF16 else (model.double(), images.double())
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    for _ in range(2):
        with torch.autocast("cpu", dtype=BF16, enabled=dtype == BF16):
            logits = forward_native(model, kernels, images, BF16) if kernels else model(images)
        F.cross_entropy(logits.to(torch.promote_types(logits.dtype, torch.float32)), torch.arange(37) % 4).backward()
    torch.set_num_threads(before)
    gradients = {f"gradient of {name}": p.grad for name, p in model.named_parameters()}
    return {"logits": logits.detach(), **gradients, **dict(model.named_buffers())}


def test_a_model_is_as_exact_as_by_torchs_autocast(kernels: Kernels) -> None:
    found, autocast, exact = run(kernels, BF16), run(None, BF16), run(None, torch.float64)
    assert found.keys() == exact.keys()
    largest = max(value.abs().max().item() for name, value in exact.items() if name.startswith("gradient"))
    for name, value in exact.items():
        error, torchs_error = ((each[name].double() - value).norm().item() for each in (found, autocast))
        assert error <= max(4 * torchs_error, 1e-3 * largest * value.numel() ** 0.5), name


def test_the_same_bits_come_out_each_time_whatever_the_number_of_threads(kernels: Kernels) -> None:
    one = run(kernels, BF16)
    for threads in (1, 2):
        torch.testing.assert_close(run(kernels, BF16, threads), one, rtol=0, atol=0)


def test_what_is_no_number_comes_out_as_such(kernels: Kernels) -> None:
    model, images = make_model().eval(), torch.randn(18, 2, 24, 24)
    images[3, 0, 5, 5] = torch.nan
    found = forward_native(model, kernels, images, BF16)
    assert found.isnan().any(1).tolist() == [image == 3 for image in range(18)]


def test_digits_are_learned_as_well_as_in_fp32_and_the_same_each_time(kernels: Kernels) -> None:
    data, histories = load("digits"), []
    for precision in ("fp32", "bf16", "bf16"):
        seed_everything(0)
        model = ConvMixer(width=32, depth=2, patch_size=1, kernel_size=5, num_classes=10, in_channels=1)
        recipe = choose_recipe("smoke", 6)
        histories.append(train(model, data, recipe, seed=0, device="cpu", precision=precision, path="native"))
    full, half, again = ([epoch.train_loss for epoch in history.epochs] for history in histories)
    assert (histories[1].path, histories[1].precision) == ("native", "bf16")
    assert half == again
    assert half == pytest.approx(full, rel=0.05)
    accuracies = [history.epochs[-1].test_accuracy for history in histories]
    assert min(accuracies) > 0.95
    assert accuracies[1] == pytest.approx(accuracies[0], abs=0.01)


def test_two_types_of_activations_are_refused(kernels: Kernels) -> None:
    with pytest.raises(ConvMixerError) as caught:
        kernels.normalise_backward(make_norm(2), draw(2, 3), torch.zeros(2, 3))
    assert str(caught.value) == (
        "native kernels: a tensor is torch.float32 on cpu with strides (3, 1); expected torch.bfloat16 on the CPU, contiguous"
    )


OLDER = """
from convmixer import native
native.FLAGS = tuple("-march=x86-64-v3" if flag == "-march=native" else flag for flag in native.FLAGS)
import torch
try:
    native.load().multiply(torch.zeros(2, 2), torch.zeros(2, 2, dtype=torch.bfloat16))
except Exception as error:
    print(native.load().has_bf16, error)
"""


def test_a_library_for_an_older_processor_has_no_bf16(kernels: Kernels, tmp_path: Path) -> None:
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    found = subprocess.run([sys.executable, "-c", OLDER], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout == "False native kernels: activations are torch.bfloat16, which they do not compute here\n"
