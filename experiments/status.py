"""Where each planned run stands, in one word and a reason."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from experiments.fingerprint import Fingerprint, Fingerprinter, explain
from experiments.ledger import Ledger
from experiments.plan import Plan
from experiments.prices import Price, Prices
from experiments.spec import Record, Run, State

_DEVICE_WORDS = {"cpu": "a CPU", "cuda": "a CUDA device"}


@dataclass(frozen=True)
class RunStatus:
    """A run, its state, why (words for a reader), its price if it is to be run, and its record where there is one.

    `changes` says what makes a record stale, a change an entry; `key` is today's. `price` is that of the device that
    the run needs, else of the one that most was recorded on; `prices` has one for each device class.
    """

    run: Run
    state: State
    why: str
    price: Price
    record: Record | None
    key: str
    changes: tuple[str, ...] = ()
    prices: tuple[Price, ...] = ()

    @property
    def acceptance(self) -> str | None:
        """Why a person lets the record count although the code changed after it; None where none had to."""
        if self.record is None or self.record.key == self.key:
            return None
        return next((item["why"] for item in self.record.accepted if item["key"] == self.key), None)

    @property
    def every_price(self) -> tuple[Price, ...]:
        """The price on each device class that has one, that of `price` where no others are known."""
        return self.prices or (self.price,)


def statuses(
    plan: Plan,
    ledger: Ledger,
    root: Path,
    *,
    devices: Collection[str] | None = None,
    records: Sequence[Record] | None = None,
    cache: Path | None = None,
) -> tuple[RunStatus, ...]:
    """The status of every run of the plan, in its order.

    Args:
        devices: the device classes of this machine. With them the answer is this machine's: a run counts as gated
            only where the device it needs is not there, and as failed where the ledger's own log says so. Without
            them it follows from tracked files alone, as a report must.
        records: the ledger's records, where the caller has loaded them already.
        cache: the folder that keeps what is known of modules, as in `Fingerprinter`; none where nothing may be
            written or an earlier command's word may not be taken.

    Raises:
        RecordFault: a record cannot be trusted.
    """
    records = ledger.load(plan) if records is None else records
    by_name = {record.run: record for record in records}
    failures = {} if devices is None else ledger.failures()
    prices, fingerprinter = Prices(plan, records), Fingerprinter(root, cache)
    classes = prices.devices()
    found = []
    for run in plan.runs.values():
        today, record = fingerprinter.of(run), by_name.get(run.name)
        price, others = prices.of(run), tuple(prices.of(run, device) for device in classes)
        if record is not None:
            found.append(_judge_record(run, record, today, price, others))
        else:
            state, why = _judge_missing(run, today, failures, devices)
            found.append(RunStatus(run, state, why, price, None, today.key, prices=others))
    return tuple(found)


def _judge_record(run: Run, record: Record, today: Fingerprint, price: Price, others: tuple[Price, ...]) -> RunStatus:
    if record.key == today.key:
        return RunStatus(run, State.MEASURED, "", price, record, today.key, prices=others)
    changes = explain(record, today)
    status = RunStatus(run, State.MEASURED, "", price, record, today.key, changes, others)
    if status.acceptance is not None:
        return replace(status, why=f"accepted: {status.acceptance}")
    more = f" and {len(changes) - 1} more" if len(changes) > 1 else ""
    return replace(status, state=State.STALE, why=f"{changes[0]}{more}")


def _judge_missing(
    run: Run, today: Fingerprint, failures: dict[str, dict[str, str]], devices: Collection[str] | None
) -> tuple[State, str]:
    failure = failures.get(run.name)
    if failure is not None and failure["key"] == today.key:
        return State.FAILED, failure["error"]
    if run.needs is not None and run.needs not in (devices or ()):
        return State.GATED, f"needs {_DEVICE_WORDS[run.needs]}"
    return State.PENDING, "planned, not run"
