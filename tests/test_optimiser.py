"""The optimiser has the recipe's values, and decays what the recipe says."""

import pytest
import torch
from timm.optim import param_groups_weight_decay

from convmixer.baselines import build_model
from convmixer.model import NORMS, ConvMixer
from convmixer.optimiser import make_optimiser
from convmixer.recipe import choose_recipe

SIZES = {"width": 8, "depth": 2, "patch_size": 2, "kernel_size": 3, "num_classes": 5}


def test_by_default_one_group_holds_all_parameters() -> None:
    model = ConvMixer(**SIZES)
    (group,) = make_optimiser(model, choose_recipe("authors", 25)).param_groups
    assert [id(p) for p in group["params"]] == [id(p) for p in model.parameters()]
    assert (group["weight_decay"], group["eps"], group["betas"]) == (0.005, 1e-8, (0.9, 0.999))


@pytest.mark.parametrize("norm", NORMS)
def test_the_paper_spares_the_parameters_that_timm_spares(norm: str) -> None:
    model = ConvMixer(**SIZES, norm=norm)
    ours = make_optimiser(model, choose_recipe("paper")).param_groups
    theirs = param_groups_weight_decay(model, weight_decay=0.01)
    assert [([id(p) for p in g["params"]], g["weight_decay"]) for g in ours] == [
        ([id(p) for p in g["params"]], g["weight_decay"]) for g in theirs
    ]
    assert {group["eps"] for group in ours} == {1e-3}


def test_what_is_spared_does_not_shrink() -> None:
    model = ConvMixer(**SIZES)
    before = {name: value.detach().clone() for name, value in model.named_parameters()}
    for value in model.parameters():
        value.grad = torch.zeros_like(value)
    make_optimiser(model, choose_recipe("paper")).step()
    for name, value in model.named_parameters():
        expected = before[name] * (1 - 0.01 * 0.01) if value.ndim > 1 else before[name]
        torch.testing.assert_close(value.detach(), expected)


def test_what_a_model_names_is_spared_too() -> None:
    """timm's ViT names its class token and its positions, which have three dimensions."""
    model = build_model("vit", image_size=8, in_channels=1, num_classes=10, width=32, depth=1, patch_size=4)
    spared, decayed = make_optimiser(model, choose_recipe("paper")).param_groups
    assert {id(value) for value in (model.cls_token, model.pos_embed)} <= {id(value) for value in spared["params"]}
    assert sum(len(group["params"]) for group in (spared, decayed)) == len(list(model.parameters()))
