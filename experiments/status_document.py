"""Where runs stand, for programs: one JSON document as report/schemas/status.schema.json has it."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from experiments.prices import Price
from experiments.schema import RecordFault
from experiments.spec import State
from experiments.status import RunStatus

SCHEMA_NAME = "reproduction/status/1"


def format_status(shown: Sequence[RunStatus], faults: Sequence[RecordFault]) -> str:
    """The document of the runs SHOWN, in the plan's order, and of every record at fault in the ledger."""
    counts = Counter(status.state for status in shown)
    document = {
        "schema": SCHEMA_NAME,
        "runs": [_describe_run(status) for status in shown],
        "faults": [_describe_fault(fault) for fault in faults],
        "summary": {
            "runs": len(shown),
            "states": {state.value: counts[state] for state in State},
            "seconds_to_come": sum(status.price.seconds for status in shown if status.state is not State.MEASURED),
        },
    }
    return json.dumps(document, indent=1, ensure_ascii=False)


def _describe_run(status: RunStatus) -> dict[str, Any]:
    return {
        "run": status.run.name,
        "cell": status.run.cell,
        "groups": list(status.run.groups),
        "seed": status.run.seed,
        "state": status.state.value,
        "why": status.why,
        "changes": list(status.changes),
        "key": status.key,
        "metrics": None if status.record is None else dict(status.record.metrics),
        "price": _describe_price(status.price),
        "prices": [_describe_price(price) for price in status.every_price],
    }


def _describe_price(price: Price) -> dict[str, Any]:
    return {"seconds": price.seconds, "basis": price.basis, "device_class": price.device_class}


def _describe_fault(fault: RecordFault) -> dict[str, str]:
    return {name: getattr(fault, name) for name in ("place", "field", "message", "expected", "found")}
