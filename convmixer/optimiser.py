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
    """Biases and everything else of at most one dimension, as norms have, apart; timm's param_groups_weight_decay."""
    trained = [(name, value) for name, value in model.named_parameters() if value.requires_grad]
    spared = [value for name, value in trained if value.ndim <= 1 or name.endswith(".bias")]
    decayed = [value for name, value in trained if value.ndim > 1 and not name.endswith(".bias")]
    return [{"params": spared, "weight_decay": 0.0}, {"params": decayed, "weight_decay": weight_decay}]
