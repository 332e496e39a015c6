"""Random streams derived from a seed, so that no hidden state has to be saved and a resumed run repeats exactly."""

import hashlib

import torch


def derive_seed(seed: int, *place: object) -> int:
    """A seed in 0..2**63-1 for one purpose at one place, as in ``derive_seed(0, "order", epoch)``.

    It is a digest of its arguments, hence the same on every machine and unrelated to that of any neighbouring place.
    """
    text = "/".join(str(part) for part in (seed, *place))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> 1


def stream(seed: int, *place: object) -> torch.Generator:
    """A generator on the CPU that starts from ``derive_seed``: drawn there, choices are the same for every device."""
    return torch.Generator().manual_seed(derive_seed(seed, *place))


def seed_everything(seed: int) -> None:
    """Seed torch's global generators, on every device, as for the initial weights of a model."""
    torch.manual_seed(derive_seed(seed, "initial weights"))
