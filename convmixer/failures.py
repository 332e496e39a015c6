"""What torch says when it cannot go on, in words that tell a person what to do."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from convmixer import ConvMixerError

# How torch's allocator on a CPU says it, on Linux and elsewhere, and what NVIDIA's libraries say that allocate their
# own: none of these has an exception of its own.
_NO_MEMORY = ("can't allocate memory", "not enough memory", "CUDA error: out of memory", "_STATUS_ALLOC_FAILED")
_NOT_REPEATABLE = "does not have a deterministic implementation"


@contextmanager
def explain_failures(batch_size: int, device: torch.device, checkpoint: Path | None) -> Iterator[None]:
    """Turn a lack of memory, and an operation that cannot repeat itself, into a ``ConvMixerError``."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
        text = str(error)
        if isinstance(error, torch.OutOfMemoryError | MemoryError) or any(sign in text for sign in _NO_MEMORY):
            kept = f"; the checkpoint {str(checkpoint)!r} is kept" if checkpoint and checkpoint.exists() else ""
            raise ConvMixerError(
                f"train: {str(device)!r} has too little memory for a batch_size of {batch_size!r}; take a smaller one "
                f"(another recipe than the source's, hence to be named as a deviation) or another device{kept}"
            ) from error
        if _NOT_REPEATABLE in text:
            raise ConvMixerError(
                f"train: deterministic is True, but {text.split(_NOT_REPEATABLE)[0].strip()} on {str(device)!r} "
                "cannot give the same bits each time; give deterministic=False"
            ) from error
        raise
