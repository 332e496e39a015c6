"""Which GPU a run may see, where several runs compute on one machine with several GPUs."""

import contextlib
import os
import threading
from collections import Counter
from collections.abc import Iterator, Sequence

from experiments import machine
from experiments.machine import VISIBLE_VARIABLE


def list_gpus() -> list[str]:
    """What $CUDA_VISIBLE_DEVICES may name here: its own entries where it is set, else the number of each GPU."""
    named = os.environ.get(VISIBLE_VARIABLE)
    if named is None:
        return [str(index) for index in range(machine.count_gpus())]
    return [entry.strip() for entry in named.split(",") if entry.strip() not in ("", "-1")]


class GpuSlots:
    """Hands out GPUs, the one with the fewest runs first; safe to use from several threads."""

    def __init__(self, gpus: Sequence[str]) -> None:
        self._runs = Counter(dict.fromkeys(gpus, 0))
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def lease(self) -> Iterator[dict[str, str]]:
        """The variables of a run that computes inside the block; none where there is nothing to choose."""
        if len(self._runs) < 2:
            yield {}
            return
        with self._lock:
            gpu = min(self._runs, key=lambda name: self._runs[name])
            self._runs[gpu] += 1
        try:
            yield {VISIBLE_VARIABLE: gpu}
        finally:
            with self._lock:
                self._runs[gpu] -= 1
