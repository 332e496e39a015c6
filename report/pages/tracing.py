"""Where the numbers on the pages of one report lead: the anchors of the rows of its tables, and the table of origins.

What no row stands for is known only when all prose has been filled in. Until then the table of origins is empty.
"""

from collections.abc import Mapping
from functools import cached_property

from report.context import Context
from report.pages.layout import Places
from report.pages.origins import ORIGINS_TABLE, Origins, origins_table, row_anchors
from report.quantities import Quantity
from report.tables import Table

Anchors = tuple[tuple[str, ...], ...]  # of each row of a table


class Tracing:
    """The tables of one report with the anchors of their rows, and the origins of its numbers."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self.origins = Origins(context.evidence)
        self.tables: dict[str, Table] = {**context.tables, ORIGINS_TABLE: origins_table((), ())[0]}
        self._anchors: dict[tuple[str, bool], Anchors] = {}  # by table and whether it is on paper

    def anchor_of(self, quantity: Quantity) -> str:
        """Where in the report the origin of QUANTITY is told."""
        return self.origins.of(quantity).anchor

    def shown(self, name: str, is_paged: bool) -> Table:
        """The table as a page has it; on paper the condensed one, where there is one."""
        table = self.tables[name]
        return table.condensed if is_paged and table.condensed is not None else table

    def settle(self, placed: tuple[str, ...]) -> None:
        """Give the rows of the tables PLACED their anchors, and make the table of what has no row among them."""
        seen: dict[bool, set[str]] = {False: set(), True: set()}
        for is_paged, there in seen.items():
            for name in placed:
                rows = row_anchors(self.shown(name, is_paged), self.origins)
                self._anchors[name, is_paged] = tuple(tuple(a for a in row if a not in there) for row in rows)
                there.update(anchor for row in rows for anchor in row)
        printed = map(self.origins.of, self._context.registry.printed)
        self.tables[ORIGINS_TABLE], anchors = origins_table(printed, seen[False] & seen[True])
        for is_paged, there in seen.items():  # what only one of the two has a row for is listed, and named once in each
            self._anchors[ORIGINS_TABLE, is_paged] = tuple(tuple(a for a in row if a not in there) for row in anchors)

    def places(self, name: str, is_paged: bool) -> Places:
        """The anchors of the rows of a table, and the records of those that are runs."""
        table = self.shown(name, is_paged)
        recorded = self._recorded if table.columns[0].key == "run" else {}
        records = tuple(recorded.get(str(row[0]), "") for row in table.rows)
        return Places(self._anchors[name, is_paged], records)

    @cached_property
    def _recorded(self) -> Mapping[str, str]:
        """The file of the record of each measured run, from the root."""
        return {record.run: f"experiments/records/{record.run}.json" for record in self._context.evidence.recorded()}
