"""The figure of what the runs cost, group by group: hours taken beside hours still to come."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from experiments.prices import reservation, rough_hours
from experiments.spec import State
from report.evidence import Evidence
from report.listings.run_tables import device_words
from report.original import Quoted
from report.plots.figure import Figure, Row
from report.plots.figure_rows import absent
from report.sentences import joined

TOOK, TO_COME = "took", "to come"


def hours(name: str, item: Mapping[str, Any], evidence: Evidence, original: Mapping[str, Quoted]) -> Figure:
    """A line a group of the plan: the hours that its recorded runs took, and those that the others would take."""
    rows = [row for group in evidence.groups for row in _rows_of(group, evidence)]
    if not rows:
        return absent(name, item, evidence.cells(), "its time")
    prices = [status.price for status in evidence.runs() if status.state is not State.MEASURED]
    basis = ""
    if prices:
        devices = " or ".join(device_words(device) for device in sorted({price.device_class for price in prices}))
        basis = f"Hollow marks are estimates for {devices}{reservation(prices)}."
    note = joined(" ", (item["note"], basis))
    alt = "Dot plot of hours by group of runs, on a logarithmic scale. "
    alt += "; ".join(f"{group}: {_words(rows, group)}" for group in dict.fromkeys(str(row["group"]) for row in rows))
    return Figure(name, "hours", item["title"], note, f"{alt}.", tuple(rows))


def _rows_of(group: str, evidence: Evidence) -> Iterator[Row]:
    spent = [record.cost.get("seconds") for record in evidence.recorded(group)]
    if spent and None not in spent:
        yield {"group": group, "what": TOOK, "runs": len(spent), "hours": math.fsum(spent) / 3600}
    waiting = [status.price.seconds for status in evidence.runs(group) if status.state is not State.MEASURED]
    if waiting:
        yield {"group": group, "what": TO_COME, "runs": len(waiting), "hours": math.fsum(waiting) / 3600}


def _words(rows: list[Row], group: str) -> str:
    """`took 2.11 h, about 26 h to come`."""
    here = {row["what"]: float(row["hours"] or 0) for row in rows if row["group"] == group}
    words = (
        f"took {here[TOOK]:,.3g} h" if TOOK in here else "",
        f"about {rough_hours(3600 * here[TO_COME])} h to come" if TO_COME in here else "",
    )
    return ", ".join(filter(None, words))
