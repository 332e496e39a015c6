"""The certificate of a verification: what was run again, by what, and whether it agrees with the records."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from experiments.spec import ACCURACY, Disagreement, Incomplete, Record, RunFailed
from report.review.agreement import LEVEL, Agreement, Judged
from report.review.spot_check import Pick
from report.words import amount

SCHEMA_NAME = "reproduction/certificate/1"
_MACHINE = ("python", "platform", "cpu", "gpu", "driver", "threads", "versions")


class Overall(StrEnum):
    """What the verification says as a whole."""

    CONFIRMED = "confirmed"
    IN_PART = "confirmed in part"
    NOT_CONFIRMED = "not confirmed"
    UNDECIDED = "could not be judged"


@dataclass(frozen=True)
class Verified:
    """One picked run: the record, the new one where the run ended well, and the comparison or what went wrong.

    `accepted` is the reason for which the record counts though the code has changed; `changes` says what has.
    """

    pick: Pick
    recorded: Record
    again: Record | None
    judged: Judged | None
    error: str
    accepted: str
    changes: tuple[str, ...]

    @property
    def agreement(self) -> Agreement:
        """The outcome of the run."""
        if self.judged is not None:
            return self.judged.agreement
        return Agreement.FAILED if self.error else Agreement.NOT_BEGUN

    @property
    def code(self) -> str:
        """How the record's code stands to that which was run now: `same`, `accepted` or `stale`."""
        return "same" if not self.changes else "accepted" if self.accepted else "stale"

    @property
    def why(self) -> str:
        """The agreement's reason, or the error."""
        return self.judged.why if self.judged is not None else self.error or "the budget was used up before it"


@dataclass(frozen=True)
class Asked:
    """What the picks were restricted to, by whoever asked: a reader is to know what could not be picked."""

    patterns: tuple[str, ...] = ()
    group: str | None = None
    device_class: str | None = None

    def __str__(self) -> str:
        runs = f"runs called {' or '.join(self.patterns)}" if self.patterns else "any run"
        group = f" of group {self.group}" if self.group else ""
        return f"{runs}{group}, on {self.device_class or 'the device of its record'}"


@dataclass(frozen=True)
class Certificate:
    """The runs in the order in which they were picked; `recorded` is how many of those asked for have a record."""

    title: str
    asked: Asked
    commit: str | None
    dirty: bool | None
    started: str
    budget_seconds: float
    spent_seconds: float
    recorded: int
    runs: tuple[Verified, ...]

    def count(self, agreement: Agreement) -> int:
        """How many runs have this outcome."""
        return sum(verified.agreement is agreement for verified in self.runs)

    @property
    def same_bits(self) -> int:
        """How many runs gave the very same bits."""
        return sum(verified.judged is not None and verified.judged.same_bits for verified in self.runs)

    @property
    def lacking_bits(self) -> int:
        """How many runs gave other bits although nothing that is recorded differs."""
        return sum(verified.judged is not None and verified.judged.lacks_due_bits for verified in self.runs)

    @property
    def overall(self) -> Overall:
        """Not confirmed where a run disagrees; confirmed where all agree; in part where the budget ended before some."""
        if self.count(Agreement.DISAGREES):
            return Overall.NOT_CONFIRMED
        agreeing, not_begun = self.count(Agreement.AGREES), self.count(Agreement.NOT_BEGUN)
        if not agreeing or agreeing + not_begun < len(self.runs):
            return Overall.UNDECIDED
        return Overall.IN_PART if not_begun else Overall.CONFIRMED

    @property
    def heading(self) -> str:
        """`Confirmed in part: agreement in 10 of 14 picked runs`."""
        runs = amount(len(self.runs), "picked run")
        return f"{self.overall.capitalize()}: agreement in {self.count(Agreement.AGREES)} of {runs}"

    @property
    def exit_code(self) -> int:
        """0 confirmed, also in part; 3 a run disagrees; 1 a run failed; 4 a run could not be judged, or none was begun.

        How many runs are picked follows from guessed prices, and the budget is the reviewer's: the same runs that agree
        end alike, whether others were picked that did not fit.
        """
        if self.overall is Overall.UNDECIDED:
            return RunFailed.exit_code if self.count(Agreement.FAILED) else Incomplete.exit_code
        return Disagreement.exit_code if self.overall is Overall.NOT_CONFIRMED else 0

    @property
    def summary(self) -> str:
        """`2 runs picked: agrees 1, not begun 1; same bits 1`."""
        counts = ((state, self.count(state)) for state in Agreement)
        told = ", ".join(f"{state} {number}" for state, number in counts if number)
        lacking = f", other bits though the same were due {self.lacking_bits}" if self.lacking_bits else ""
        return f"{amount(len(self.runs), 'run')} picked: {told}; same bits {self.same_bits}{lacking}"

    def to_json(self) -> dict[str, Any]:
        """The document that report/schemas/certificate.schema.json describes."""
        return {
            "schema": SCHEMA_NAME,
            "title": self.title,
            "overall": self.overall.value,
            "asked": {**asdict(self.asked), "patterns": list(self.asked.patterns)},
            "commit": self.commit,
            "dirty": self.dirty,
            "started": self.started,
            "budget_seconds": self.budget_seconds,
            "spent_seconds": round(self.spent_seconds, 3),
            "level": LEVEL,
            "records": self.recorded,
            "counts": {state.value: self.count(state) for state in Agreement},
            "same_bits": self.same_bits,
            "lacking_bits": self.lacking_bits,
            "runs": [_describe(verified) for verified in self.runs],
        }


def _describe(verified: Verified) -> dict[str, Any]:
    candidate, judged = verified.pick.candidate, verified.judged
    return {
        "run": candidate.name,
        "cell": candidate.cell,
        "outcome": verified.agreement.value,
        "why": verified.why,
        "information": round(verified.pick.information, 6),
        "reasons": list(candidate.leverage.reasons),
        "price_seconds": candidate.seconds,
        "code": verified.code,
        "accepted": verified.accepted,
        "changes": list(verified.changes),
        "record": _describe_record(verified.recorded),
        "again": None if verified.again is None else _describe_record(verified.again),
        "judged": None if judged is None else _describe_judged(judged),
    }


def _describe_record(record: Record) -> dict[str, Any]:
    machine = {name: record.provenance[name] for name in _MACHINE}
    return {
        "accuracy": record.metrics[ACCURACY],
        "digest": record.digest,
        "key": record.key,
        "commit": record.provenance["commit"],
        "started": record.provenance["started"],
        "seconds": record.cost["seconds"],
        "device": record.provenance["device"],
        "device_class": record.provenance["device_class"],
        "machine": machine,
    }


def _describe_judged(judged: Judged) -> Mapping[str, Any]:
    interval, yardstick = judged.interval, judged.yardstick
    spread = yardstick and {name: getattr(yardstick, name) for name in ("sd", "degrees", "runs", "basis")}
    return {
        "interval": interval and {"low": interval.low, "high": interval.high},
        "spread": spread,
        "same_bits": judged.same_bits,
        "same_bits_due": not judged.differing,
        "differing": list(judged.differing),
    }


def machines_of(runs: Sequence[Verified]) -> tuple[str, ...]:
    """What the new runs were computed by, each machine and set of versions once, in words."""
    found = []
    for verified in runs:
        if verified.again is not None:
            told = verified.again.provenance
            threads = amount(told["threads"], "thread")
            versions = ", ".join(f"{name} {version}" for name, version in sorted(told["versions"].items()))
            found.append(f"{told['device']} ({told['platform']}), {threads}, Python {told['python']}, {versions}")
    return tuple(dict.fromkeys(found))
