"""The words that everything else speaks: Run, Group, Record, State, and the errors that a person sees."""

import base64
from array import array
from collections.abc import ItemsView, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

SCHEMA = 1
MIME = "application/vnd.reproduction.record.v1+json"
ACCURACY = "test_accuracy"  # the metric of every run that claims are judged by

Scalar = str | int | float | bool


class ReproductionError(Exception):
    """A mistake or mishap that its message explains; `exit_code` is what the command line ends with."""

    exit_code = 2


class ConfigurationError(ReproductionError):
    """The plan, a notebook, a parameter or an argument is wrong."""


class AlreadyRecorded(ConfigurationError):
    """The run has a record, and nobody said that it may be replaced."""


class RunFailed(ReproductionError):
    """A run did not end with a record."""

    exit_code = 1


class RunBusy(RunFailed):
    """Another process is running the run."""


class RunInterrupted(RunFailed):
    """A run was stopped on purpose; its checkpoint is kept and it is not counted as failed."""

    exit_code = 130


class Disagreement(ReproductionError):
    """What is tracked does not agree with itself: a damaged record, a stale one, numbers that differ."""

    exit_code = 3


class Incomplete(ReproductionError):
    """Planned runs are not recorded where all of them were asked for."""

    exit_code = 4


class MissingTool(ReproductionError):
    """A tool or device that is needed is not there."""

    exit_code = 5


class State(StrEnum):
    """What is known of a planned run."""

    MEASURED = "measured"
    PENDING = "pending"
    GATED = "gated"
    STALE = "stale"
    FAILED = "failed"
    NOT_COMPARABLE = "not comparable"


class FrozenMapping(Mapping[str, Any]):
    """A mapping that is sorted by name, cannot be changed, and can be hashed and pickled."""

    __slots__ = ("_hash", "_items")

    def __init__(self, items: Mapping[str, Any] | None = None, /) -> None:
        self._items = dict(sorted((items or {}).items()))
        self._hash: int | None = None

    def __getitem__(self, name: str) -> Any:
        return self._items[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def items(self) -> ItemsView[str, Any]:
        """As any mapping has them, in a quarter of the time."""
        return self._items.items()

    def __hash__(self) -> int:
        if self._hash is None:
            self._hash = hash(tuple(self._items.items()))
        return self._hash

    def __repr__(self) -> str:
        return repr(self._items)

    def __reduce__(self) -> tuple[Any, ...]:
        return FrozenMapping, (self._items,)


@dataclass(frozen=True)
class Resources:
    """What a run is given by whoever runs it; None leaves that to the executor.

    `hours` is the most that one attempt may take, `quiet_minutes` the longest time without a sign of life; `gpus` may
    be a fraction where the executor can share one. `partition` is Slurm's; this machine ignores it, `cpus` and
    `memory_gib`.
    """

    partition: str | None = None
    hours: float | None = None
    quiet_minutes: float | None = None
    cpus: int | None = None
    gpus: float | None = None
    memory_gib: float | None = None


@dataclass(frozen=True)
class Run:
    """One execution of one notebook with one set of parameters.

    `parameters` holds every parameter of the notebook, `cell` the name without the seed, `work` the planned GFLOP,
    `needs` the device class without which it cannot be run, `first` whether its seed is the first of its cell,
    `resources` those of the first group that holds it.
    """

    name: str
    notebook: str
    parameters: Mapping[str, Scalar]
    groups: tuple[str, ...]
    cell: str
    work: float | None = None
    needs: str | None = None
    smoke: bool = False
    first: bool = True
    resources: Resources = Resources()

    def __post_init__(self) -> None:
        object.__setattr__(self, "parameters", FrozenMapping(self.parameters))

    @property
    def seed(self) -> int:
        """The random seed."""
        return int(self.parameters["seed"])

    @property
    def wanted_gpus(self) -> float:
        """How many GPUs the run is given: as the plan says, else one where it needs one."""
        if self.resources.gpus is not None:
            return self.resources.gpus
        return 1.0 if self.needs == "cuda" else 0.0


@dataclass(frozen=True)
class Group:
    """The cells that answer one question; `runs` in the order of the plan, seeds within cells."""

    name: str
    title: str
    question: str
    budget: str
    notebook: str
    runs: tuple[Run, ...]
    source: str = ""
    needs: str | None = None


@dataclass(frozen=True)
class Correct:
    """Which images of a split were classified rightly: one bit an image, packed as by `numpy.packbits`, in base64."""

    split: str
    count: int
    bits: str

    def packed(self) -> bytes:
        """The bits; the first image is the highest bit of the first byte."""
        return base64.b64decode(self.bits, validate=True)

    def ones(self) -> int:
        """How many images were right."""
        return int.from_bytes(self.packed(), "big").bit_count()

    def unpack(self) -> list[bool]:
        """One boolean an image, in the split's order."""
        text = "".join(f"{byte:08b}" for byte in self.packed())
        return [digit == "1" for digit in text[: self.count]]

    def to_json(self) -> dict[str, Any]:
        """The form in the record's file."""
        return {"split": self.split, "count": self.count, "bits": self.bits}


@dataclass(frozen=True)
class Packed:
    """An array in 8 bits a number, as for a picture: `scale` times whole numbers from -127 to 127, in base64.

    The last axis varies first. Whole numbers of that range are exact, with a scale of 1; others are off by half a step
    at most, which is 1/254 of the largest.
    """

    shape: tuple[int, ...]
    scale: float
    values: str

    def steps(self) -> "array[int]":
        """The whole numbers, in one row."""
        return array("b", base64.b64decode(self.values, validate=True))

    def to_json(self) -> dict[str, Any]:
        """The form in the record's file."""
        return {"shape": list(self.shape), "scale": self.scale, "values": self.values}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Packed":
        """The array of that form."""
        return cls(tuple(content["shape"]), content["scale"], content["values"])


@dataclass(frozen=True)
class Record:
    """What one completed run left: the only thing that the report reads. Fields as in the file, less `schema`."""

    run: str
    notebook: str
    parameters: Mapping[str, Scalar]
    key: str
    fingerprint: Mapping[str, Any]
    metrics: Mapping[str, float]
    history: Mapping[str, Sequence[float | None]]
    correct: Correct | None
    breakdown: Mapping[str, list[Any]] | None
    settings: Mapping[str, Any]
    provenance: Mapping[str, Any]
    cost: Mapping[str, float | None]
    accepted: tuple[Mapping[str, str], ...] = ()
    arrays: Mapping[str, Packed] = field(default_factory=dict)
    digest: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        """A column of floats takes 8 bytes an epoch instead of 32: a ledger has thousands of them."""
        packed = {
            name: array("d", column) if type(column) is list and set(map(type, column)) == {float} else column
            for name, column in self.history.items()
        }
        object.__setattr__(self, "history", packed)

    def accept(self, key: str, why: str, on: str) -> "Record":
        """The same record, kept under today's key for the reason given."""
        entry = {"key": key, "why": why, "on": on}
        return replace(self, accepted=(*self.accepted, entry))

    @classmethod
    def from_text(cls, text: str, place: str, known: dict[tuple[str, bytes], Any] | None = None) -> "Record":
        """The record in a file's text; `experiments.schema.RecordFault` names the file and the field at fault.

        What it has in common with records that were read with the same KNOWN, empty at first, is held once for all.
        """
        from experiments.schema import parse_record

        return parse_record(text, place, known)

    def to_text(self) -> str:
        """The content of its file, with the digest computed anew."""
        from experiments.schema import format_record

        return format_record(self)
