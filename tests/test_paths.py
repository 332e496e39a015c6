"""The fastest way that can be taken is taken, the others on request, and what stands in the way is told."""

import pytest
import torch
from torch import nn

from convmixer import ConvMixerError, native, paths
from convmixer.model import ConvMixer
from convmixer.paths import choose_forward

NO_COMPILER = "no C++ compiler was found (g++, clang++, or the one named in $CXX)"


def make_model(**options: object) -> ConvMixer:
    torch.manual_seed(0)
    return ConvMixer(width=4, depth=1, patch_size=2, kernel_size=3, num_classes=3, **options)


@pytest.fixture
def without_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "load", lambda: NO_COMPILER)


@pytest.fixture
def processor_without_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convmixer.device._processor_flags", lambda: set())


@pytest.fixture
def processor_with_bf16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convmixer.device._processor_flags", lambda: {"avx512_bf16"})


def test_a_cpu_with_a_compiler_takes_our_kernels_in_fp32(processor_with_bf16: None) -> None:
    if isinstance(native.load(), str):
        pytest.skip(f"SKIPPED: {native.load()}")
    chosen = choose_forward(make_model(), 8, "cpu")
    assert (chosen.path, chosen.precision, chosen.note) == ("native", "fp32", "")


def test_bf16_is_taken_when_asked_for_where_the_kernels_compute_it(monkeypatch: pytest.MonkeyPatch) -> None:
    if isinstance(kernels := native.load(), str):
        pytest.skip(f"SKIPPED: {kernels}")
    model = make_model()
    monkeypatch.setattr(kernels, "has_bf16", True)
    chosen = choose_forward(model, 8, "cpu", precision="bf16")
    assert (chosen.path, chosen.precision, chosen.note) == ("native", "bf16", "")
    monkeypatch.setattr(kernels, "has_bf16", False)
    chosen = choose_forward(model, 8, "cpu", precision="bf16")
    assert (chosen.path, chosen.precision) == ("plain", "bf16")
    reason = "it computes in fp32 on this processor, and precision is 'bf16'"
    assert chosen.note == (f"not 'native': {reason}; not 'channel-major': it computes in fp32, and precision is 'bf16'")
    with pytest.raises(ConvMixerError) as caught:
        choose_forward(model, 8, "cpu", path="native", precision="bf16")
    assert str(caught.value) == f"choose_forward: path 'native' cannot be taken: {reason}; 'auto' takes one that can"


def test_without_a_compiler_pure_torch_is_taken_and_says_so(
    without_compiler: None, processor_without_bf16: None
) -> None:
    chosen = choose_forward(make_model(), 8, "cpu")
    assert (chosen.path, chosen.precision, chosen.note) == ("channel-major", "fp32", f"not 'native': {NO_COMPILER}")


def test_without_a_compiler_a_processor_with_bf16_trains_in_it(
    without_compiler: None, processor_with_bf16: None
) -> None:
    chosen = choose_forward(make_model(), 8, "cpu")
    assert (chosen.path, chosen.precision) == ("plain", "bf16")
    assert chosen.note == (
        f"not 'native': {NO_COMPILER}; not 'channel-major': this processor is faster in bf16 than pure torch is in fp32"
    )


def test_a_gpu_takes_the_plain_way_until_the_other_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: True)
    model = make_model()
    chosen = choose_forward(model, 8, "cuda")
    assert (chosen.path, chosen.precision, chosen.compute, chosen.note) == ("plain", "bf16", model, "")


@pytest.mark.parametrize("path", ["native", "channel-major", "plain"])
def test_every_way_gives_the_same_logits(path: str) -> None:
    if path == "native" and isinstance(native.load(), str):
        pytest.skip(f"SKIPPED: {native.load()}")
    model, images = make_model().eval(), torch.randn(5, 3, 8, 8)
    chosen = choose_forward(model, 8, "cpu", path=path, precision="fp32")
    assert (chosen.path, chosen.precision, chosen.note) == (path, "fp32", "")
    torch.testing.assert_close(chosen.compute(images), model(images), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("path", "model", "options", "reason"),
    [
        ("native", nn.Flatten(), {}, "it computes a ConvMixer, and this is a Flatten"),
        ("channel-major", nn.Flatten(), {}, "it computes a ConvMixer, and this is a Flatten"),
        ("native", make_model(), {"device": "cuda"}, "it is for a CPU, and the device is 'cuda'"),
        ("channel-major", make_model(), {"precision": "bf16"}, "it computes in fp32, and precision is 'bf16'"),
        ("native", make_model(), {"image_size": 130}, "it computes up to 32 patches a side"),
        ("triton", make_model(), {}, "it needs an NVIDIA GPU"),
        (
            "native",
            make_model(norm="layer"),
            {},
            "it computes norm 'batch' and residual 'depthwise', and these are 'layer' and 'depthwise'",
        ),
    ],
)
def test_a_way_that_cannot_be_taken_is_refused_with_the_reason(
    path: str, model: nn.Module, options: dict[str, object], reason: str
) -> None:
    arguments = {"image_size": 8, "device": "cpu"} | options
    with pytest.raises(ConvMixerError) as caught:
        choose_forward(model, **arguments, path=path)
    assert str(caught.value) == f"choose_forward: path {path!r} cannot be taken: {reason}; 'auto' takes one that can"


def test_a_model_that_was_changed_goes_the_plain_way(processor_without_bf16: None) -> None:
    model = make_model()
    model.blocks[0][0].fn[1] = nn.ReLU()
    chosen = choose_forward(model, 8, "cpu")
    assert (chosen.path, chosen.compute) == ("plain", model)
    reason = "a module of the model was replaced"
    assert chosen.note == f"not 'native': {reason}; not 'channel-major': {reason}"


def test_a_class_of_ones_own_goes_the_plain_way() -> None:
    class Another(ConvMixer):
        pass

    model = Another(width=4, depth=1, patch_size=2, kernel_size=3, num_classes=3)
    assert choose_forward(model, 8, "cpu").path == "plain"


def test_an_unknown_way_is_refused_and_the_known_named() -> None:
    with pytest.raises(ConvMixerError) as caught:
        choose_forward(make_model(), 8, "cpu", path="fast")
    assert str(caught.value) == (
        "choose_forward: unknown path 'fast'; known are auto, native, channel-major, triton, plain"
    )


def test_a_model_of_another_kind_has_one_way_and_passes_nothing_over() -> None:
    model = nn.Flatten()
    chosen = choose_forward(model, 8, "cpu")
    assert (chosen.path, chosen.compute, chosen.note) == ("plain", model, "")


def test_what_is_measured_is_known() -> None:
    assert {path for names in paths.MEASURED.values() for path in names} <= set(paths.PATHS)
