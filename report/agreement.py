"""Does a run that was run again agree with its record? By the recorded spread, and bit by bit.

The two accuracies are taken as two draws of one cell: they may differ by t sd sqrt(2). The interval lies around the
record that is verified, not around the cell's mean, since a changed record among honest ones would otherwise pass. The
sd never comes from that record. It is that of the cell's other seeds where these leave three degrees of freedom, and
else pooled over all cells of the same settings: from two other seeds t would be 12.7, and hardly anything could
disagree.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from experiments.spec import Record
from report.evidence import ACCURACY, FIDELITY, has_same_curves, setting_of
from report.statistics import Comparison, Interval, of_equal_shares, summarise

LEVEL = 0.05  # of a whole certificate: so often is a true ledger called disagreeing, at most
_OWN_DEGREES = 3
_UNKNOWN = "unknown"
_MACHINE = ("python", "platform", "cpu", "device", "gpu", "driver", "threads")


class Agreement(StrEnum):
    """How a run that was run again stands to its record."""

    AGREES = "agrees"
    DISAGREES = "disagrees"
    NOT_JUDGED = "not judged"
    FAILED = "failed"
    NOT_BEGUN = "not begun"


@dataclass(frozen=True)
class Yardstick:
    """The standard deviation between seeds, its degrees of freedom, how many runs it comes from, and which."""

    sd: float
    degrees: int
    runs: int
    basis: str


@dataclass(frozen=True)
class Judged:
    """A comparison with its reason; `interval` is where a second run falls, None where no spread is known.

    `same_bits`: accuracy, history and the bits of the test images are equal. `differing` lists what of code, versions
    and machine is not as recorded; where nothing is, the same bits are due.
    """

    agreement: Agreement
    why: str
    interval: Interval | None
    yardstick: Yardstick | None
    same_bits: bool
    differing: tuple[str, ...]

    @property
    def lacks_due_bits(self) -> bool:
        """Whether the bits differ although nothing else that is recorded does."""
        return not self.same_bits and not self.differing


def judge_rerun(recorded: Record, again: Record, yardstick: Yardstick | None, code: Sequence[str], of: int) -> Judged:
    """AGAIN against RECORDED, as one OF so many that are judged by an interval, each at its share of the level.

    CODE says what differs between the record's code and today's.
    """
    differing = (*code, *differing_machine(recorded, again))
    same = has_same_bits(recorded, again)
    interval = None if yardstick is None else expect_second(recorded.metrics[ACCURACY], yardstick, 1 - LEVEL / of)
    agreement, why = _decide(recorded, again, interval, same)
    if not same and not differing:
        why += "; the same bits were due, as code, versions and machine are the record's as far as it names them"
    return Judged(agreement, why, interval, yardstick, same, differing)


def _decide(recorded: Record, again: Record, interval: Interval | None, same: bool) -> tuple[Agreement, str]:
    if same:
        return Agreement.AGREES, "the same bits"
    unlike = [
        f"{name} {setting_of(again, name)} (recorded {setting_of(recorded, name)})"
        for name in FIDELITY
        if setting_of(again, name) != setting_of(recorded, name)
    ]
    if unlike:
        return Agreement.NOT_JUDGED, f"it was computed with {', '.join(unlike)}, which is not comparable"
    if interval is None:
        return Agreement.NOT_JUDGED, "the bits differ, and no record tells how far seeds differ under these settings"
    if interval.low <= 0 and interval.high >= 1:
        return (
            Agreement.NOT_JUDGED,
            "the bits differ, and too few records tell how far seeds differ: any value would do",
        )
    if again.metrics[ACCURACY] in interval:
        return Agreement.AGREES, "within the interval for a second run"
    return Agreement.DISAGREES, "outside the interval for a second run"


def expect_second(value: float, yardstick: Yardstick, confidence: float) -> Interval:
    """Where a second run falls that is a draw from the same cell as one of VALUE."""
    return Comparison(value, yardstick.sd * math.sqrt(2), yardstick.degrees).interval(confidence)


def find_yardstick(recorded: Record, cells: Mapping[str, Sequence[Record]], cell: str) -> Yardstick | None:
    """The spread between seeds by which RECORDED, of CELL, is judged; None where no two other runs tell it.

    CELLS holds every sound record by cell.
    """
    others = _alike(recorded, (record for record in cells[cell] if record.run != recorded.run))
    own = _pool([others])
    if own is not None and own[1] >= _OWN_DEGREES:
        return _yardstick(recorded, *own, "other seeds of its cell")
    like = [_alike(recorded, others if name == cell else records) for name, records in cells.items()]
    pooled = _pool(like)
    if pooled is None:
        return None
    number = sum(len(records) > 1 for records in like)
    return _yardstick(recorded, *pooled, f"within {number} cell{'s' if number > 1 else ''} of the same settings")


def _alike(recorded: Record, records: Iterable[Record]) -> list[Record]:
    """Those of RECORDS with the settings of RECORDED that a comparison depends on."""
    wanted = [setting_of(recorded, name) for name in FIDELITY]
    return [record for record in records if [setting_of(record, name) for name in FIDELITY] == wanted]


def _pool(cells: Iterable[Sequence[Record]]) -> tuple[float, int, int] | None:
    """(sd within cells, its degrees of freedom, runs) of those of CELLS that have several; None where none has."""
    sums = [summarise([record.metrics[ACCURACY] for record in records]) for records in cells if len(records) > 1]
    degrees = sum(summary.n - 1 for summary in sums)
    if not degrees:
        return None
    squares = math.fsum((summary.n - 1) * (summary.sd or 0.0) ** 2 for summary in sums)
    return math.sqrt(squares / degrees), degrees, sum(summary.n for summary in sums)


def _yardstick(recorded: Record, sd: float, degrees: int, runs: int, basis: str) -> Yardstick | None:
    """Equal accuracies do not show that there is no spread: then it is the binomial error of the test images."""
    if sd > 0:
        return Yardstick(sd, degrees, runs, basis)
    if recorded.correct is None:
        return None
    share = of_equal_shares(summarise([recorded.metrics[ACCURACY]]), recorded.correct.count)
    return Yardstick(share.sd or 0.0, degrees, runs, f"{basis}; they are equal, so that it is the binomial error")


def has_same_bits(recorded: Record, again: Record) -> bool:
    """Whether accuracy, history (but for times) and the bits of the test images are equal."""
    return (
        recorded.metrics[ACCURACY] == again.metrics[ACCURACY]
        and has_same_curves(recorded, again)
        and recorded.correct == again.correct
    )


def differing_machine(recorded: Record, again: Record) -> tuple[str, ...]:
    """What of versions and machine is not as recorded: `torch 2.15.0 (recorded 2.14.0)`.

    A package that only one of the runs had loaded has made no number of the other; forked kernels have all of them. A
    processor that one of them does not name may be another: compiled code then computes otherwise.
    """
    old, new = (
        {**record.provenance["versions"], **{name: record.provenance[name] for name in _MACHINE}}
        for record in (recorded, again)
    )
    names = (name for name in old if name in new and old[name] != new[name])
    before, now = (record.provenance.get("processor") for record in (recorded, again))
    other = () if before and before == now else (f"processor {now or _UNKNOWN} (recorded {before or _UNKNOWN})",)
    return (*(f"{name} {new[name]} (recorded {old[name]})" for name in names), *other)
