"""The C++ kernels compute what float64 computes, on every path through their loops, and fill all that they promise."""

import copy
import hashlib
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
from convmixer.cpu import average_places, cut_patches, forward_native
from convmixer.model import ConvMixer
from convmixer.native import Kernels
from tests.native_layers import as_images, make_norm, poison_outputs

# torch tells, once, that an even kernel may need a padded copy of its input.
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths:UserWarning")


@pytest.fixture(scope="module")
def kernels() -> Kernels:
    loaded = native.load()
    if isinstance(loaded, str):
        pytest.skip(f"SKIPPED, THE FAST PATH OF A CPU IS NOT TESTED: {loaded}")
    return loaded


@pytest.fixture(autouse=True)
def poisoned_outputs() -> Iterator[None]:
    with poison_outputs():
        yield


def make_model(**sizes: object) -> ConvMixer:
    torch.manual_seed(0)
    defaults = {"width": 7, "depth": 2, "patch_size": 2, "kernel_size": 3, "num_classes": 4, "in_channels": 2}
    return ConvMixer(**(defaults | sizes))


def run(model: ConvMixer, kernels: Kernels | None, images: Tensor) -> dict[str, Tensor]:
    """Logits, gradients and buffers after two steps; by the kernels, or plain in float64 without them."""
    model = copy.deepcopy(model) if kernels else copy.deepcopy(model).double()
    for _ in range(2):
        logits = forward_native(model, kernels, images) if kernels else model(images.double())
        F.cross_entropy(logits, torch.arange(len(images)) % 4).backward()
    gradients = {f"gradient of {name}": p.grad for name, p in model.named_parameters()}
    return {"logits": logits.detach(), **gradients, **dict(model.named_buffers())}


def assert_as_exact(found: dict[str, Tensor], plain: dict[str, Tensor], exact: dict[str, Tensor]) -> None:
    """The kernels' error is at most eight times that of torch's own float32 path, or 3e-5 of the largest value.

    A wrong index shows in the second digit. Some gradients are sums that cancel to zero, so that nothing but rounding is
    left: the largest one is the measure. The worst case is a kernel of 1 under ReLU, where a channel that is nearly always
    cut off has little variance, and the bias is added after a rounding.
    """
    assert found.keys() == exact.keys()
    largest = max(value.abs().max().item() for name, value in exact.items() if name.startswith("gradient"))
    for name, value in exact.items():
        error, plain_error = ((each[name] - value).abs().max().item() for each in (found, plain))
        scale = largest if name.startswith("gradient") else value.abs().max().item()
        assert error <= max(8 * plain_error, 3e-5 * scale), name


@pytest.mark.parametrize("activation", ["gelu", "relu"])
@pytest.mark.parametrize("count", [1, 16, 37])
# Grids of 2, 4, 8, 5, 9 and 12: of one tile, of two, of no whole number of tiles, and with a tile at no border.
@pytest.mark.parametrize(("patch_size", "image_size"), [(1, 2), (2, 8), (1, 8), (3, 16), (2, 18), (1, 12)])
@pytest.mark.parametrize("kernel_size", range(1, 10))
def test_logits_gradients_and_statistics_are_those_of_float64(
    kernels: Kernels, kernel_size: int, patch_size: int, image_size: int, count: int, activation: str
) -> None:
    model = make_model(patch_size=patch_size, kernel_size=kernel_size, activation=activation)
    images = torch.randn(count, 2, image_size, image_size)
    plain = copy.deepcopy(model)
    for _ in range(2):
        logits = plain(images)
        F.cross_entropy(logits, torch.arange(count) % 4).backward()
    gradients = {f"gradient of {name}": p.grad for name, p in plain.named_parameters()}
    in_torch = {"logits": logits.detach(), **gradients, **dict(plain.named_buffers())}
    assert_as_exact(run(model, kernels, images), in_torch, run(model, None, images))


@pytest.mark.parametrize("kernel_size", [3, 5, 7, 9])
def test_the_grid_of_16_that_is_compiled_for_itself_computes_the_same(kernels: Kernels, kernel_size: int) -> None:
    x, dz, weight = torch.randn(2, 19 * 256), torch.randn(2, 19 * 256), torch.randn(2, 1, kernel_size, kernel_size)
    norm = make_norm(2, bias=torch.zeros(2))
    y, _ = kernels.mix_places(norm, weight, x, 16)
    dx, weight_gradient, _ = kernels.mix_places_backward(norm, weight, x, y, dz, 16)
    exact = [as_images(x, 16).double().requires_grad_(), weight.double().requires_grad_()]
    z = F.conv2d(exact[0], exact[1], padding=kernel_size // 2, groups=2)
    torch.testing.assert_close(as_images(y, 16), z.detach().float(), rtol=1e-5, atol=1e-5)
    z = exact[0] + F.batch_norm(F.gelu(z), None, None, training=True)
    z.backward(as_images(dz, 16).double())
    torch.testing.assert_close(as_images(dx, 16), exact[0].grad.float(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(weight_gradient, exact[1].grad.float(), rtol=1e-5, atol=1e-4)


def test_the_variance_of_values_far_from_zero_is_not_lost(kernels: Kernels) -> None:
    """Many spans of a row, with a mean of a thousand deviations: a sum of squares in float would have no digit right."""
    values = 1000 + torch.randn(1, 5003)
    norm = make_norm(1, activation="relu", epsilon=0.0)
    kernels.normalise(norm, values)
    torch.testing.assert_close(
        norm.inverse_deviation, 1 / values.double().std(1, correction=0).float(), rtol=1e-6, atol=0
    )
    torch.testing.assert_close(norm.mean, values.double().mean(1).float(), rtol=1e-7, atol=0)


@pytest.mark.parametrize("threads", [1, 2])
def test_the_same_bits_come_out_each_time_whatever_the_number_of_threads(kernels: Kernels, threads: int) -> None:
    model, images = make_model(), torch.randn(20, 2, 8, 8)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = run(model, kernels, images)
        torch.set_num_threads(threads)
        other = run(model, kernels, images)
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(other, one, rtol=0, atol=0)


def test_evaluation_uses_the_running_statistics_and_leaves_them(kernels: Kernels) -> None:
    model = make_model()
    model(torch.randn(8, 2, 8, 8))
    before = copy.deepcopy(model.eval().state_dict())
    images = torch.randn(19, 2, 8, 8)
    with torch.inference_mode():
        torch.testing.assert_close(forward_native(model, kernels, images), model(images), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)


def test_evaluation_has_gradients_too(kernels: Kernels) -> None:
    """As for a picture of what a network looks at: the norm's statistics are constants then."""
    model = make_model().eval()
    images = [torch.randn(3, 2, 8, 8).requires_grad_()]
    images.append(images[0].detach().clone().requires_grad_())
    model(images[0]).square().sum().backward()
    forward_native(model, kernels, images[1]).square().sum().backward()
    torch.testing.assert_close(images[1].grad, images[0].grad, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("rows", "inner", "columns"), [(1, 1, 1), (6, 3, 16), (7, 5, 17), (30, 256, 200), (13, 1600, 40)]
)
@pytest.mark.parametrize("transposed", [False, True])
def test_products_of_any_size(kernels: Kernels, rows: int, inner: int, columns: int, transposed: bool) -> None:
    a, b = torch.randn(rows, inner), torch.randn(inner, columns)
    found = kernels.multiply(a.T.contiguous() if transposed else a, b, transposed=transposed)
    torch.testing.assert_close(found, (a.double() @ b.double()).float(), rtol=1e-5, atol=1e-6 * inner)


def test_gelu_is_torchs_over_its_whole_range(kernels: Kernels) -> None:
    values = torch.cat([torch.linspace(-12, 12, 4001), torch.tensor([0.0, 1e-30, -1e-30, 100.0, -100.0])])[None]
    norm = make_norm(1, epsilon=0.0, training=False)
    exact = F.gelu(values.double())
    error = (kernels.normalise(norm, values) - exact).abs()
    assert (error <= 2e-7 * values.abs().clamp(min=1)).all()  # a unit in the last place near 1 is 1.2e-7


def test_patches_and_their_average_keep_image_and_place_apart() -> None:
    images = torch.randn(21, 2, 6, 6)
    columns = cut_patches(images, 2, 16)
    assert columns.shape == (2 * 2 * 2, 21 * 9)
    expected = F.unfold(images, 2, stride=2)  # (21, 8, 9)
    torch.testing.assert_close(columns[:, 16 * 3 + 5], expected[5, :, 3])  # place 3 of image 5, in the first block
    torch.testing.assert_close(columns[:, 16 * 9 + 5 * 3 + 4], expected[20, :, 3])  # of image 20, in the last
    torch.testing.assert_close(average_places(columns, 21, 9, 16), expected.mean(2))


def test_images_that_are_not_square_are_refused(kernels: Kernels) -> None:
    with pytest.raises(ConvMixerError) as caught:
        forward_native(make_model(), kernels, torch.zeros(1, 2, 8, 4))
    assert str(caught.value) == "forward_native: images of shape (1, 2, 8, 4); expected square ones"


def test_another_type_of_number_is_refused_before_a_kernel_reads_it(kernels: Kernels) -> None:
    with pytest.raises(ConvMixerError) as caught:
        kernels.multiply(torch.zeros(2, 2).double(), torch.zeros(2, 2))
    assert str(caught.value) == (
        "native kernels: a tensor is torch.float64 on cpu with strides (2, 1); expected torch.float32 on the CPU, contiguous"
    )


@pytest.mark.parametrize("activation", ["gelu", "relu"])
@pytest.mark.parametrize("training", [True, False])
def test_what_is_no_number_comes_out_as_such(kernels: Kernels, activation: str, training: bool) -> None:
    """A training that diverged must be seen; a maximum with zero would hide it."""
    model = make_model(activation=activation).train(training)
    images = torch.randn(18, 2, 8, 8)
    images[3, 0, 5, 5] = torch.nan
    found, expected = forward_native(model, kernels, images), copy.deepcopy(model)(images)
    torch.testing.assert_close(found.isnan(), expected.isnan())
    assert found[3].isnan().all()


def test_a_changed_source_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    changed = tmp_path / "native.cpp"
    changed.write_text("another")
    monkeypatch.setattr(native, "SOURCE", changed)
    with pytest.raises(ConvMixerError) as caught:
        native.load.__wrapped__()
    assert str(caught.value) == (
        f"native kernels: native.cpp has sha256 {hashlib.sha256(b'another').hexdigest()!r}, and native.py says "
        f"{native.SOURCE_SHA256!r}: results belong to the code that made them, so write the new one there, or restore the file"
    )


def test_the_source_is_the_one_that_the_keys_of_records_stand_for() -> None:
    assert hashlib.sha256(native.SOURCE.read_bytes()).hexdigest() == native.SOURCE_SHA256


LOADED = "from convmixer import native; loaded = native.load(); print(loaded if isinstance(loaded, str) else 'kernels')"


@pytest.mark.parametrize(
    ("compiler", "expected"),
    [
        ("no-such-compiler", "$CXX is 'no-such-compiler', which is no program here\n"),
        ("false", "native.cpp could not be compiled and loaded: "),
    ],
)
def test_without_a_working_compiler_the_reason_is_told(tmp_path: Path, compiler: str, expected: str) -> None:
    environment = os.environ | {"CXX": compiler, "XDG_CACHE_HOME": str(tmp_path)}
    found = subprocess.run([sys.executable, "-c", LOADED], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.startswith(expected)
    assert not list(tmp_path.rglob("*.so"))


def test_a_compiled_library_is_kept_and_found_again(tmp_path: Path, kernels: Kernels) -> None:
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    times = []
    for _ in range(2):
        found = subprocess.run(
            [sys.executable, "-c", LOADED], env=environment, capture_output=True, text=True, check=True
        )
        assert found.stdout == "kernels\n"
        (library,) = tmp_path.rglob("*.so")
        times.append(library.stat().st_mtime_ns)
    assert times[0] == times[1]
    assert {entry.suffix for entry in library.parent.iterdir()} == {".so", ".sha256"}  # nothing half-written is left
    library.write_bytes(library.read_bytes()[:3000])  # as after a power cut; loading it would end the process
    found = subprocess.run([sys.executable, "-c", LOADED], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout == "kernels\n"
