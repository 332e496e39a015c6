"""What the records say of one cell: the values of a metric over the seeds, their state, and the quantity they make.

A cell counts its measured runs only. Where none is measured it says what the runs are instead (stale, failed, gated,
pending, in this order: what a reader should know first), and where its runs disagree in a setting it is not comparable.
"""

import re
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from experiments.spec import ACCURACY, FrozenMapping, Record, State
from experiments.status import RunStatus
from report.quantities import Fidelity, Kind, Quantity, Spread, Tier
from report.sentences import price_text
from report.statistics import Interval, Summary, are_equal_shares, of_equal_shares, summarise
from report.unknown import UnknownName, UnknownParameter
from report.words import ascending, in_words

_SYMBOL = re.compile(r"\s+\S$")  # the k of `Kernel size k`, which a table's head has
NOT_MEASURED = "not measured on the machine used"
EQUAL_RUNS = "95 % t interval of the mean, from the binomial error of the test images: the runs are exactly equal"
FIDELITY = ("dataset", "epochs", "recipe", "precision", "train_images")
_COUNTED = ("epochs", "train_images")
COMPUTING = ("precision", "path")  # how a run was computed: cells may differ in it, and it is told
_ASKED = ("epochs", "dataset", "fraction")  # parameters that tables and figures name though their declarations do not
_WORST_FIRST = (State.STALE, State.FAILED, State.GATED, State.PENDING)
_AGGREGATES = {
    ACCURACY: "mean of the last epoch's test accuracy",
    "parameters": "parameters counted in the model",
    "seconds": "mean wall-clock time of a run",
    "train_seconds": "mean time of training alone",
}


class Parameters(FrozenMapping):
    """The parameters of a cell; what it does not have is refused by name."""

    __slots__ = ()

    def __getitem__(self, name: str) -> Any:
        try:
            return super().__getitem__(name)
        except KeyError:
            having = f"the cells have {', '.join(self)}"
            if name in _ASKED:
                raise UnknownParameter(f"the notebook needs a parameter {name!r}, which this names; {having}") from None
            raise UnknownParameter(f"no parameter {name!r}; {having}") from None


def kind_of(metric: str) -> Kind:
    """How a metric is printed, by the ending of its name; a share of something by that word in it."""
    if metric.endswith("accuracy"):
        return Kind.ACCURACY
    if "share" in metric.split("_"):
        return Kind.SHARE
    endings = {"parameters": Kind.PARAMETERS, "seconds": Kind.SECONDS, "memory_mib": Kind.MEMORY}
    return next((kind for ending, kind in endings.items() if metric.endswith(ending)), Kind.NUMBER)


def setting_of(record: Record, name: str, default: Any = None) -> Any:
    """A setting as the run resolved it, else the parameter it was given, else DEFAULT."""
    settings = record.settings
    return settings[name] if name in settings else record.parameters.get(name, default)


def settings_of(records: Iterable[Record], name: str, default: Any = None) -> list[Any]:
    """The values of a setting in RECORDS, each once: thousands of runs have the same few; some are lists."""
    return list({repr(value): value for value in (setting_of(record, name, default) for record in records)}.values())


def has_same_curves(a: Record, b: Record) -> bool:
    """Whether the histories are equal but for times, which no two runs share, and which a copy may have changed."""
    return _curves(a) == _curves(b)


def _curves(record: Record) -> dict[str, list[float | None]]:
    # As lists: a column of floats alone is packed, and would differ from one in which 0.0 is written as 0.
    return {name: list(column) for name, column in record.history.items() if not is_time(name)}


def is_time(name: str) -> bool:
    """Whether a column or a metric is a number of seconds, or so many a second."""
    return f"_{name}".endswith(("_seconds", "_per_second"))


@dataclass(frozen=True)
class CellEvidence:
    """The runs of one cell in one group: what differs only in the seed.

    `parameters` has no seed; `labels` are what tables.yaml calls some of them; `statuses` has one entry a planned run and `records` the measured ones, both by seed.
    """

    group: str
    name: str
    parameters: Mapping[str, Any]
    statuses: tuple[RunStatus, ...]
    records: tuple[Record, ...]
    labels: Mapping[str, str] = FrozenMapping()
    _told: dict[tuple[str, str], Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def word(self, name: str) -> str:
        """What a sentence calls a parameter: its label, less the symbol at its end, or else its name in words."""
        if name not in self.labels:
            return in_words(name)
        label = _SYMBOL.sub("", self.labels[name])
        return label[0].lower() + label[1:] if label[1:2].islower() else label  # MLP stays MLP

    def symbol(self, name: str) -> str:
        """What a narrow head calls a parameter: the symbol at the end of its label, the k of `Kernel size k`, or its word."""
        found = _SYMBOL.search(self.labels.get(name, ""))
        return found[0].strip() if found else self.word(name)

    def words(self, names: Iterable[str]) -> str:
        """`kernel size 9, patch size 4`: these parameters with their values, for a reader."""
        return ", ".join(f"{self.word(name)} {self.parameters[name]}" for name in names)

    @property
    def n(self) -> int:
        """How many runs are measured."""
        return len(self.records)

    @property
    def planned(self) -> int:
        """How many runs are planned."""
        return len(self.statuses)

    @property
    def n_of_planned(self) -> str:
        """`3` where every planned run is measured, else `2 of 3`."""
        return str(self.n) if self.n == self.planned else f"{self.n} of {self.planned}"

    @property
    def is_rehearsal(self) -> bool:
        """Whether its runs are those of a rehearsal."""
        return any(status.run.smoke for status in self.statuses)

    @cached_property
    def seeds(self) -> tuple[int, ...]:
        """The seeds of the measured runs."""
        return tuple(int(record.parameters["seed"]) for record in self.records)

    @cached_property
    def mixed(self) -> dict[str, tuple[str, ...]]:
        """The settings of `Fidelity` in which the measured runs differ, with their values."""
        return differing_settings([self])

    @cached_property
    def state(self) -> State:
        """Measured as soon as one run is, provided that all measured ones agree."""
        if self.records:
            return State.NOT_COMPARABLE if self.mixed else State.MEASURED
        states = {status.state for status in self.statuses}
        return next((state for state in _WORST_FIRST if state in states), State.PENDING)

    @cached_property
    def why(self) -> str:
        """What a reader is told of the runs that do not count; empty when all do."""
        if self.mixed:
            return "its runs differ in " + "; ".join(f"{name}: {', '.join(v)}" for name, v in self.mixed.items())
        others = [status for status in self.statuses if status.state is not State.MEASURED]
        if not others:
            return "; ".join(dict.fromkeys(status.why for status in self.statuses if status.why))
        if all(status.state is State.PENDING for status in others):
            return price_text(others, f"price/{self.group}/{self.name}")
        tally = Counter(status.state for status in others)
        first = next(status for state in _WORST_FIRST for status in others if status.state is state)
        return ", ".join(f"{tally[state]} {state.value}" for state in _WORST_FIRST if tally[state]) + f": {first.why}"

    @cached_property
    def fidelity(self) -> Fidelity:
        """The settings that all measured runs share; of the planned parameters where nothing is measured."""
        told = {n: setting_of(self.records[0], n) if self.records else self.parameters.get(n) for n in FIDELITY}
        return Fidelity(
            **{name: _counted(value) if name in _COUNTED else _in_text(value) for name, value in told.items()}
        )

    @property
    def missing_seeds(self) -> tuple[int, ...]:
        """The planned seeds that are not measured."""
        measured = set(self.seeds)
        return tuple(status.run.seed for status in self.statuses if status.run.seed not in measured)

    @cached_property
    def copies(self) -> tuple[int, ...]:
        """The seeds of runs that are another one's, image by image and epoch by epoch: no two trainings are."""
        seen: dict[str, list[Record]] = {}
        for record in self.records:
            if record.correct is not None:
                seen.setdefault(record.correct.bits, []).append(record)
        same = [found for found in seen.values() if len(found) > 1]
        several = ([record for record in found if _is_of_some(record)] for found in same)
        copies = (record for alike in several for record in alike if any(_is_copy(record, one) for one in alike))
        return tuple(sorted(int(record.parameters["seed"]) for record in copies))

    def without(self, runs: Container[str]) -> "CellEvidence":
        """The same cell as if RUNS had never been made; the very same one where it has none of them."""
        if not any(status.run.name in runs for status in self.statuses):
            return self
        statuses = tuple(status for status in self.statuses if status.run.name not in runs)
        return replace(self, statuses=statuses, records=tuple(r for r in self.records if r.run not in runs))

    def values(self, metric: str = ACCURACY) -> tuple[float, ...]:
        """METRIC of each measured run, by seed; empty where a run has none (energy where no meter is).

        Raises UnknownName for a metric that no record of the cell has.
        """
        return self._once("values", metric, self._read_values)

    def settings(self, name: str) -> list[str]:
        """The values of a setting in the measured runs, each once, as text."""
        return self._once("settings", name, lambda name: [str(value) for value in settings_of(self.records, name)])

    def _read_values(self, metric: str) -> tuple[float, ...]:
        found = []
        for record in self.records:
            if metric not in record.metrics and metric not in record.cost:
                valid = ", ".join(sorted({*record.metrics, *record.cost}))
                raise UnknownName(f"record {record.run!r} has no metric {metric!r}; it has {valid}")
            found.append(record.metrics.get(metric, record.cost.get(metric)))
        return () if None in found else tuple(float(value) for value in found)

    @cached_property
    def test_images(self) -> int | None:
        """How many test images each measured run classified; None where a record does not say, or they differ."""
        counts = {record.correct.count if record.correct is not None else None for record in self.records}
        return counts.pop() if len(counts) == 1 else None

    @cached_property
    def is_without_spread(self) -> bool:
        """Whether several runs have exactly the same accuracy: a coincidence, or seeds that change nothing."""
        values = self.values()
        return len(values) > 1 and are_equal_shares(values)

    @property
    def has_unknown_spread(self) -> bool:
        """Whether its runs do not tell their spread: they are exactly equal, and nobody knows what one image is."""
        return self.is_without_spread and self.test_images is None

    def summary(self, metric: str = ACCURACY) -> Summary:
        """METRIC over the measured runs; where all accuracies are equal, with the binomial error of the test images."""
        summary = summarise(self.values(metric))
        if metric == ACCURACY and self.is_without_spread and self.test_images:
            return of_equal_shares(summary, self.test_images)
        return summary

    def quantity(self, metric: str = ACCURACY) -> Quantity:
        """METRIC over the measured runs as a quantity: the mean, its 95 % t interval from two runs on, and n."""
        return self._once("quantity", metric, self._make_quantity)

    def _once(self, what: str, name: str, make: Callable[[str], Any]) -> Any:
        """WHAT is MADE of NAME, the first time: rules, tables, figures and prose ask for the same few again and again."""
        if (what, name) not in self._told:
            self._told[what, name] = make(name)
        return self._told[what, name]

    def _make_quantity(self, metric: str) -> Quantity:
        kind, id = kind_of(metric), f"{self.group}/{self.name}/{metric}"
        aggregate = _AGGREGATES.get(metric, f"mean of {metric.replace('_', ' ')}")
        origin = tuple(record.run for record in self.records)
        if self.state is not State.MEASURED:
            why = self.why or "no run is planned"
            return Quantity(id, kind, None, self.state, None, None, self.planned, None, origin, aggregate, why=why)
        values = self.values(metric)
        if not values:
            return Quantity(id, kind, None, State.GATED, aggregate=aggregate, why=NOT_MEASURED)
        summary, counted = self.summary(metric), kind is Kind.PARAMETERS
        tells_no_spread = self.has_unknown_spread if metric == ACCURACY else len(set(values)) == 1
        is_bare = summary.sd is None or counted or tells_no_spread
        how = {"kind": EQUAL_RUNS} if metric == ACCURACY and self.is_without_spread else {}
        return Quantity(
            id,
            kind,
            summary.mean,
            spread=None if is_bare else spread(summary.interval(), summary.sd, **how),
            n=None if counted else summary.n,
            planned=self.planned,
            fidelity=self.fidelity,
            origin=origin,
            aggregate=aggregate,
            tier=Tier.RUN_HERE,
            why=self.why,
        )


def _counted(value: Any) -> int | None:
    """A number of epochs or images; None where the record has none, but a text."""
    return int(value) if isinstance(value, int | float) and value == int(value) else None


def _in_text(value: Any) -> str | None:
    """A setting as text: a record may have a number, or a list, for its precision."""
    return None if value is None else str(value)


def _is_of_some(record: Record) -> bool:
    """Whether it has some images right and not all: that none or all are, two trainings may have in common."""
    return record.correct is not None and 0 < record.correct.ones() < record.correct.count


def _is_copy(a: Record, b: Record) -> bool:
    return a.run != b.run and has_same_curves(a, b)


def spread(interval: Interval, sd: float | None, kind: str = "95 % t interval of the mean") -> Spread:
    """INTERVAL and SD as what `±` prints."""
    return Spread(interval.low, interval.high, sd, kind)


def make_cell(
    group: str, name: str, statuses: Iterable[RunStatus], labels: Mapping[str, str] = FrozenMapping()
) -> CellEvidence:
    """The cell NAME of GROUP, of which STATUSES are the runs."""
    by_seed = tuple(sorted(statuses, key=lambda status: status.run.seed))
    parameters = {key: value for key, value in by_seed[0].run.parameters.items() if key != "seed"}
    records = tuple(s.record for s in by_seed if s.state is State.MEASURED and s.record is not None)
    return CellEvidence(group, name, Parameters(parameters), by_seed, records, labels)


def runs_of(cells: Iterable[CellEvidence]) -> tuple[str, ...]:
    """The recorded runs of CELLS, each once."""
    return tuple(dict.fromkeys(record.run for cell in cells for record in cell.records))


def varying_parameters(cells: Iterable[CellEvidence]) -> tuple[str, ...]:
    """The parameters in which CELLS differ, in alphabetical order; what one lacks altogether is no difference."""
    values: dict[str, set[Any]] = {}
    for name, value in (item for cell in cells for item in cell.parameters.items()):
        values.setdefault(name, set()).add(value)
    return tuple(sorted(name for name, found in values.items() if len(found) > 1))


def by_level(cells: Iterable[CellEvidence], name: str) -> list[CellEvidence]:
    """CELLS by the values of a parameter: numbers by size, other values in the order of the plan, which means something."""
    listed = list(cells)
    values = list(dict.fromkeys(cell.parameters[name] for cell in listed))
    if all(isinstance(value, int | float) for value in values):
        values.sort()
    return sorted(listed, key=lambda cell: values.index(cell.parameters[name]))


def differing_settings(cells: Iterable[CellEvidence], names: tuple[str, ...] = FIDELITY) -> dict[str, tuple[str, ...]]:
    """The settings, of those called NAMES, in which the measured runs of CELLS differ, with their values as text."""
    listed = list(cells)
    found = {name: ascending(value for cell in listed for value in cell.settings(name)) for name in names}
    return {name: tuple(values) for name, values in found.items() if len(values) > 1}
