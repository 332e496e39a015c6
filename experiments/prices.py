"""What a run will cost: from what like runs have cost, or by a guess that is called one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean
from typing import Literal

from experiments.plan import Plan
from experiments.spec import Record, Run

Basis = Literal["recorded", "extrapolated", "guess"]


@dataclass(frozen=True)
class Price:
    """Seconds on a device class, and what they rest on.

    `recorded`: other seeds of the same cell; `extrapolated`: the mean speed of other cells' training, though speed
    depends on patch size, kernel size and recipe, and the mean time of starting and of what else is no training;
    `guess`: the plan's assumed speed.
    """

    seconds: float
    basis: Basis
    device_class: str


def reservation(prices: Iterable[Price]) -> str:
    """How far the sum of PRICES can be trusted, to be put after it: ` (extrapolated)`; empty if all are recorded."""
    bases = {price.basis for price in prices}
    return " (a guess)" if "guess" in bases else " (extrapolated)" if "extrapolated" in bases else ""


def by_device(prices: Iterable[Iterable[Price]]) -> dict[str, tuple[Price, ...]]:
    """The prices of several runs, each on several device classes, by device class."""
    found: dict[str, list[Price]] = {}
    for listed in prices:
        for price in listed:
            found.setdefault(price.device_class, []).append(price)
    return {device: tuple(listed) for device, listed in found.items()}


def rough_hours(seconds: float) -> str:
    """SECONDS in hours to two significant digits, as many as a price deserves: `0.52`, `2.5`, `280`."""
    hours = float(f"{seconds / 3600:.2g}")
    return f"{hours:,.0f}" if hours >= 10 else f"{hours:g}"


def rough_time(seconds: float) -> str:
    """SECONDS to two significant digits in a unit that suits them: `35 s`, `12 min`, `0.52 h`, `280 h`."""
    for limit, unit, name in ((60, 1, "s"), (1800, 60, "min")):
        if 0 < seconds < limit:
            return f"{float(f'{seconds / unit:.2g}'):g} {name}"
    return f"{rough_hours(seconds)} h"


class Prices:
    """The prices of a plan's runs, given the records that there are."""

    def __init__(self, plan: Plan, records: Iterable[Record]) -> None:
        self._plan = plan
        spent: dict[tuple[str, str], list[float]] = {}
        self._work: dict[str, float] = {}
        self._training: dict[str, float] = {}
        starting: dict[str, list[float]] = {}
        cells: Mapping[str, str] = {name: run.cell for name, run in plan.runs.items()}
        for record in records:
            device, seconds = record.provenance["device_class"], record.cost["seconds"]
            if record.run in cells:
                spent.setdefault((device, cells[record.run]), []).append(seconds)
            if record.cost["work"]:
                self._work[device] = self._work.get(device, 0.0) + record.cost["work"]
                training = min(record.cost.get("train_seconds") or seconds, seconds)
                self._training[device] = self._training.get(device, 0.0) + training
                starting.setdefault(device, []).append(seconds - training)
        self._seconds = {cell: fmean(seconds) for cell, seconds in spent.items()}
        self._starting = {device: fmean(seconds) for device, seconds in starting.items()}

    def usual_device(self) -> str:
        """The device class of most recorded work, or the plan's first: a price must not depend on who asks."""
        if self._work:
            return max(self._work, key=lambda device: self._work[device])
        return next(iter(self._plan.speed))

    def devices(self) -> tuple[str, ...]:
        """The device classes that have a price: those of the plan, then others that runs are recorded on."""
        return tuple(dict.fromkeys((*self._plan.speed, *self._work)))

    def of(self, run: Run, device_class: str | None = None) -> Price:
        """The price of a run on a device class.

        That of the same cell's other seeds where there are any; else the run's work at the speed of all records of
        the device class and the time that they took beside training, which is extrapolated; else at the plan's assumed
        speed, which is a guess (and for a class of which the plan says nothing, the speed of its first class).
        """
        device = device_class or run.needs or self.usual_device()
        if seconds := self._seconds.get((device, run.cell)):
            return Price(seconds, "recorded", device)
        work = run.work or 0.0
        if self._training.get(device):
            seconds = self._starting[device] + work * self._training[device] / self._work[device]
            return Price(seconds, "extrapolated", device)
        speed = self._plan.speed.get(device) or next(iter(self._plan.speed.values()))
        return Price(work / speed, "guess", device)
