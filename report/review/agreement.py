"""Does a run that was run again agree with its record? By the recorded spread, and bit by bit.

The two accuracies are taken as two draws of one cell: they may differ by t sd sqrt(2). The interval lies around the
record that is verified, not around the cell's mean, since a changed record among honest ones would otherwise pass. The sd
never comes from that record. It is that of the cell's other seeds where these leave three degrees of freedom.

Where they leave fewer, t is large (12.7 of two other seeds), and hardly anything could disagree. Then the spread is also
pooled over the cells of the same settings and architecture, but only where Bartlett's test does not reject that all of them have one
variance. A second run has to lie within both intervals, of which each has half of the level: so it never agrees because
another cell is noisy, and disagrees no more often than the level says where the spreads are equal. Where the test rejects,
the cell's own spread decides with the whole level. That choice by the data costs nothing that shows: over 8,000 simulated
papers of 2 to 12 cells of 2 to 4 seeds, true records were called disagreeing in 4.3 to 5.1 % instead of 5 %. What stays is that
of a few seeds the test finds only coarse differences: true records of a cell three times as noisy as its quiet neighbours
are called disagreeing in about a quarter of all certificates where it has three seeds, and in nearly half where two.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from experiments.spec import ACCURACY, Record
from report.cells import COMPUTING, FIDELITY, has_same_curves, is_time, setting_of
from report.statistics import (
    Comparison,
    Interval,
    Summary,
    are_equal_shares,
    bartlett,
    of_equal_shares,
    summarise,
)
from report.words import amount

LEVEL = 0.05  # of a certificate: so often is a true ledger called disagreeing, where its cells have one spread
_OWN_DEGREES = 3
_EQUAL_SPREADS = 0.05  # spreads are pooled from this p on
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
    """A comparison with its reason; `interval` is where a second run falls by `yardstick`, None where no spread is known.

    `same_bits`: all results but times are equal. `differing` lists what of code, versions
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


def judge_rerun(
    recorded: Record, again: Record, yardsticks: Sequence[Yardstick], code: Sequence[str], of: int
) -> Judged:
    """AGAIN against RECORDED, as one OF so many that are judged by an interval, each at its share of the level.

    Of several YARDSTICKS each has a part of that, and the narrowest interval decides. CODE says what differs between the
    record's code and today's.
    """
    differing = (*code, *differing_machine(recorded, again))
    same = has_same_bits(recorded, again)
    interval, yardstick = None, None
    for one in yardsticks:
        found = expect_second(recorded.metrics[ACCURACY], one, 1 - LEVEL / of / len(yardsticks))
        if interval is None or found.is_inside(interval):
            interval, yardstick = found, one
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


def find_yardsticks(recorded: Record, cells: Mapping[str, Sequence[Record]], cell: str) -> tuple[Yardstick, ...]:
    """The spreads between seeds by which RECORDED, of CELL, is judged: its cell's own, pooled, both or none.

    CELLS holds every sound record by cell.
    """
    like = {name: _alike(recorded, records) for name, records in cells.items()}
    like[cell] = [record for record in like[cell] if record.run != recorded.run]
    words = _words(recorded)
    like = {name: [r for r in kept if name == cell or _words(r) == words] for name, kept in like.items()}
    spreads = {name: _summarise(records) for name, records in like.items() if len(records) > 1}
    own = _yardstick([spreads[cell]], "other seeds of its cell") if cell in spreads else None
    if own is not None and (own.degrees >= _OWN_DEGREES or len(spreads) == 1):
        return _known(own)
    if not spreads or bartlett(list(spreads.values())) < _EQUAL_SPREADS:
        return _known(own)
    number = len(spreads)
    pooled = _yardstick(spreads.values(), f"within {amount(number, 'cell')} of the same settings")
    return _known(own, pooled)


def _known(*yardsticks: Yardstick | None) -> tuple[Yardstick, ...]:
    """Those of which the spread is known: of exactly equal runs without bits it is not."""
    return tuple(one for one in yardsticks if one is not None and one.sd > 0)


def _alike(recorded: Record, records: Iterable[Record]) -> list[Record]:
    """Those of RECORDS with the settings of RECORDED that a comparison depends on."""
    wanted = [setting_of(recorded, name) for name in FIDELITY]
    return [record for record in records if [setting_of(record, name) for name in FIDELITY] == wanted]


def _words(record: Record) -> dict[str, str]:
    """Its parameters in words, but for how it was computed: sizes may differ, another architecture is another thing."""
    told = {*FIDELITY, *COMPUTING}
    return {name: value for name, value in record.parameters.items() if isinstance(value, str) and name not in told}


def _summarise(records: Sequence[Record]) -> Summary:
    """The accuracies of one cell; equal ones do not show that there is no spread: it is then that of the test images."""
    values, correct = [record.metrics[ACCURACY] for record in records], records[0].correct
    summary = summarise(values)
    if not are_equal_shares(values):
        return summary
    return replace(summary, sd=0.0, error=0.0) if correct is None else of_equal_shares(summary, correct.count)


def _yardstick(cells: Iterable[Summary], basis: str) -> Yardstick:
    """The sd within CELLS."""
    listed = list(cells)
    degrees = sum(summary.n - 1 for summary in listed)
    squares = math.fsum((summary.n - 1) * (summary.sd or 0.0) ** 2 for summary in listed)
    return Yardstick(math.sqrt(squares / degrees), degrees, sum(summary.n for summary in listed), basis)


def has_same_bits(recorded: Record, again: Record) -> bool:
    """Whether all results are equal that a table or a figure may show, but for times, which no two runs share."""
    return (
        _untimed(recorded.metrics) == _untimed(again.metrics)
        and has_same_curves(recorded, again)
        and recorded.correct == again.correct
        and recorded.breakdown == again.breakdown
        and recorded.arrays == again.arrays
    )


def _untimed(metrics: Mapping[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if not is_time(name)}


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
