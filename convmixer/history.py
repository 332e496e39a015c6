"""What a training tells: its learning curve when it is done, its progress while it is not."""

from dataclasses import dataclass, fields


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """One epoch: losses in nats, accuracies as fractions; ``None`` where there are no validation images.

    The train columns are means over the epoch's augmented batches as they were trained on, with the recipe's label
    smoothing and mixing; in a mixed image the class with the greatest share counts as the right one. The others are
    taken after it. ``learning_rate`` is that of its last step, ``seconds`` covers it all.
    """

    epoch: int  # from 1
    learning_rate: float
    train_loss: float
    train_accuracy: float
    validation_loss: float | None
    validation_accuracy: float | None
    test_loss: float
    test_accuracy: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class History:
    """The learning curve, the last epoch of which is the result, and what it was computed with."""

    epochs: tuple[Epoch, ...]
    device: str
    precision: str
    path: str  # of the forward pass, one of paths.PATHS
    note: str  # why a faster path was not taken; empty if none was passed over
    deterministic: bool  # whether it was to give the same bits each time on one device

    def as_columns(self) -> dict[str, list]:
        """One list for each column of ``Epoch``."""
        return {field.name: [getattr(epoch, field.name) for epoch in self.epochs] for field in fields(Epoch)}


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where a training is. ``finished`` is the epoch just completed, and ``None`` in the middle of one."""

    epoch: int  # from 1
    epochs: int
    step: int  # steps done in this epoch
    steps_per_epoch: int
    train_loss: float  # mean over this epoch so far
    seconds: float  # spent on this epoch so far
    finished: Epoch | None
