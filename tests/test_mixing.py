"""Mixup and CutMix: timm's, with the same share and box, and drawn from the same lots."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import beta, chi2_contingency, ks_2samp, kstest
from timm.data.mixup import FastCollateMixup, Mixup, cutmix_bbox_and_lam

from convmixer.mixing import Mixture, draw_mixture, mix_images, mix_labels
from convmixer.recipe import ablate, choose_recipe
from convmixer.streams import stream
from tests.pictures import make_images

PAPER = choose_recipe("paper")
MIXTURES = [
    Mixture(kept=0.3, box=None),
    Mixture(kept=0.9999, box=None),
    Mixture(kept=1 - 12 * 20 / 1024, box=(3, 15, 12, 32)),
    Mixture(kept=1.0, box=(5, 5, 9, 9)),
]


def draw_many(count: int, **changes: object) -> list[Mixture]:
    recipe = replace(PAPER, **changes)
    return [draw_mixture(recipe, (32, 32), stream(0, "mix", i)) for i in range(count)]


@pytest.mark.parametrize("mixture", MIXTURES)
@pytest.mark.parametrize("kind", [FastCollateMixup, Mixup])
def test_images_and_labels_are_mixed_as_timm_mixes_them(
    kind: type[Mixup], mixture: Mixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bit for bit as timm's loader does it, in bytes; timm's other way, in floats, differs by what bytes round off."""
    images, labels = make_images(), torch.arange(40) % 10
    theirs = kind(0.5, 0.5, label_smoothing=0.1, num_classes=10)
    monkeypatch.setattr(theirs, "_params_per_batch", lambda: (mixture.kept, mixture.box is not None))
    monkeypatch.setattr("timm.data.mixup.cutmix_bbox_and_lam", lambda *_, **__: (mixture.box, mixture.kept))
    ours, shares = mix_images(images, mixture), mix_labels(labels, mixture, 10, 0.1)
    if kind is FastCollateMixup:
        their_images, their_shares = theirs([(i.numpy(), int(label)) for i, label in zip(images, labels, strict=True)])
        assert torch.equal(ours, their_images)
    else:
        their_images, their_shares = theirs(images.float(), labels)
        torch.testing.assert_close(ours.float(), their_images, rtol=0, atol=0.5 + 1e-4)
    torch.testing.assert_close(shares, their_shares, rtol=0, atol=1e-7)
    assert shares.sum(1) == pytest.approx(torch.ones(40))


def test_images_given_are_left_alone() -> None:
    images = make_images()
    before = images.clone()
    for mixture in MIXTURES:
        mix_images(images, mixture)
    assert torch.equal(images, before)


def test_one_stream_gives_one_mixture() -> None:
    first, again, other = (draw_mixture(PAPER, (32, 32), stream(0, "mix", place)) for place in (1, 1, 2))
    assert first == again != other


def test_recipes_without_mixing_draw_nothing() -> None:
    assert draw_mixture(choose_recipe("authors", 25), (32, 32), stream(0)) is None
    assert draw_mixture(ablate(PAPER, "mixup-cutmix"), (32, 32), stream(0)) is None


@pytest.mark.parametrize(("what", "has_box"), [("mixup", True), ("cutmix", False)])
def test_without_one_of_both_the_other_always_happens(what: str, has_box: bool) -> None:
    recipe = ablate(PAPER, what)
    found = {draw_mixture(recipe, (32, 32), stream(0, i)).box is not None for i in range(50)}
    assert found == {has_box}


def test_both_happen_alike_and_mixups_shares_are_beta_distributed() -> None:
    mixtures = draw_many(4000)
    shares = [m.kept for m in mixtures if m.box is None]
    assert len(shares) / 4000 == pytest.approx(0.5, abs=0.04)
    assert kstest(shares, beta(0.5, 0.5).cdf).pvalue > 1e-5
    uneven = [m.kept for m in draw_many(2000, mixup_alpha=2.0, cutmix_alpha=0.0)]
    assert kstest(uneven, beta(2, 2).cdf).pvalue > 1e-5


def test_boxes_are_distributed_as_timms() -> None:
    np.random.seed(0)
    ours = [(*m.box, m.kept) for m in draw_many(3000, mixup_alpha=0.0)]
    theirs = []
    for _ in range(3000):
        box, kept = cutmix_bbox_and_lam((3, 32, 32), np.random.beta(0.5, 0.5))
        theirs.append((*map(int, box), kept))
    for a, b in zip(np.array(ours).T, np.array(theirs).T, strict=True):
        assert ks_2samp(a, b, method="asymp").pvalue > 1e-5
    assert all(0 <= t <= b <= 32 and 0 <= le <= r <= 32 for t, b, le, r, _ in ours)
    assert all(kept == 1 - (b - t) * (r - le) / 1024 for t, b, le, r, kept in ours)


def test_in_random_order_an_images_partner_is_independent_of_it() -> None:
    """The order is drawn as the training draws it: an image's class tells nothing of its partner's."""
    table = np.zeros((10, 10), dtype=int)
    for epoch in range(20):
        order = torch.randperm(2560, generator=stream(0, "order", epoch)) % 10
        for batch in order.split(64):
            np.add.at(table, (batch.numpy(), batch.flip(0).numpy()), 1)
    assert np.array_equal(table, table.T)  # every pair stands in it twice
    once = np.triu(table, 1) + np.diag(table.diagonal()) // 2
    both = (once + once.T)[np.ix_(range(0, 10, 2), range(1, 10, 2))]
    assert chi2_contingency(both).pvalue > 1e-5
