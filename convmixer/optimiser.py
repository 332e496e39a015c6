"""The optimiser of a recipe: AdamW, with weight decay on all parameters or on weights alone."""

import torch
from torch import nn

from convmixer.settings import Recipe


def make_optimiser(model: nn.Module, recipe: Recipe) -> torch.optim.AdamW:
    """AdamW with the recipe's values over the parameters of ``model``, in one group, or in two by decay."""
    return torch.optim.AdamW(
        model.parameters() if recipe.decay_vectors else _split_by_decay(model, recipe.weight_decay),
        lr=recipe.learning_rate,
        betas=(recipe.beta1, recipe.beta2),
        eps=recipe.eps,
        weight_decay=recipe.weight_decay,
        fused=True,
    )


def _split_by_decay(model: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Biases, everything else of at most one dimension, as norms have, and what the model names, apart.

    As timm's training script does: param_groups_weight_decay with the model's ``no_weight_decay``, where a ViT names
    its class token and its positions.
    """
    named = getattr(model, "no_weight_decay", set)()
    decayed, spared = [], []
    for name, value in model.named_parameters():
        if value.requires_grad:
            is_spared = value.ndim <= 1 or name.endswith(".bias") or name in named
            (spared if is_spared else decayed).append(value)
    return [{"params": spared, "weight_decay": 0.0}, {"params": decayed, "weight_decay": weight_decay}]
