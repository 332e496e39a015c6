"""Which models the ways of computing in ``paths`` that are not ``plain`` can compute: ``find_difference(model)``.

They take the weights out of a ``ConvMixer`` and compute what its modules would; whatever a user changed about these
modules they would pass by in silence. So it is looked for, and named.
"""

import torch
from torch import nn

from convmixer.model import ConvMixer

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")  # torch has no public list


def find_difference(model: nn.Module) -> str | None:
    """What ``model`` has that they do not compute, as the end of a sentence about such a way; ``None`` if nothing.

    They compute a ``ConvMixer`` with norm 'batch' and residual 'depthwise', either activation, as it is built.
    """
    if type(model) is not ConvMixer:
        return f"it computes a ConvMixer, and this is a {type(model).__name__}"
    if (model.norm, model.residual) != ("batch", "depthwise"):
        return f"it computes norm 'batch' and residual 'depthwise', and these are {model.norm!r} and {model.residual!r}"
    if [type(module) for module in model.modules()] != [type(module) for module in _as_built(model).modules()]:
        return "a module of the model was replaced"
    if any(getattr(module, kind) for module in model.modules() for kind in _HOOKS):
        return "a module of the model has a hook"
    if any(layer.momentum is None for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)):
        return "it needs a number as momentum of batch normalisation, and the model has None"
    return None


def _as_built(model: ConvMixer) -> ConvMixer:
    """The modules of a ConvMixer of this depth and activation, of the least size and without memory."""
    sizes = {"width": 1, "patch_size": 1, "kernel_size": 1, "num_classes": 1, "in_channels": 1}
    with torch.device("meta"):
        return ConvMixer(**sizes, depth=model.depth, activation=model.activation)
