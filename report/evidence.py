"""All planned runs with what is known of them, by group and cell."""

from collections.abc import Container, Iterable, Mapping
from copy import copy
from functools import cached_property
from itertools import pairwise
from typing import Any

from experiments.spec import FrozenMapping, Group, Record
from experiments.status import RunStatus
from report.cells import CellEvidence, by_level, make_cell, varying_parameters
from report.unknown import UnknownName
from report.words import parameters_text

LEFT_OUT = "this rehearsal leaves its cells out"


class Evidence:
    """All planned runs with what is known of them, by group and cell; unknown names are refused."""

    def __init__(
        self, groups: Iterable[Group], statuses: Iterable[RunStatus], labels: Mapping[str, str] = FrozenMapping()
    ) -> None:
        self._labels = labels
        self.statuses = {status.run.name: status for status in statuses}
        self.groups = {group.name: group for group in groups}
        self._cells = {name: self._gather(group) for name, group in self.groups.items()}
        self._index: dict[tuple[str, ...], dict[tuple[Any, ...], list[CellEvidence]]] = {}
        self._runs: dict[str | None, tuple[RunStatus, ...]] = {}  # asked for again and again; so are the records
        self._recorded: dict[str | None, tuple[Record, ...]] = {}

    def _gather(self, group: Group) -> tuple[CellEvidence, ...]:
        by_cell: dict[str, list[RunStatus]] = {}
        for run in group.runs:
            by_cell.setdefault(run.cell, []).append(self.statuses[run.name])
        return tuple(make_cell(group.name, name, statuses, self._labels) for name, statuses in by_cell.items())

    @cached_property
    def _all(self) -> tuple[CellEvidence, ...]:
        """Every cell once; where groups plan it with different seeds, with the runs of all of them."""
        by_cell: dict[str, list[CellEvidence]] = {}
        for cell in (cell for cells in self._cells.values() for cell in cells):
            by_cell.setdefault(cell.name, []).append(cell)
        united = []
        for name, cells in by_cell.items():
            statuses = {status.run.name: status for cell in cells for status in cell.statuses}
            whole = next((cell for cell in reversed(cells) if cell.planned == len(statuses)), None)
            united.append(whole or make_cell(cells[-1].group, name, statuses.values(), self._labels))
        return tuple(united)

    def group(self, name: str) -> Group:
        """The group called NAME. Raises UnknownName, listing the groups of the plan."""
        if not isinstance(name, str) or name not in self.groups:
            raise UnknownName(f"there is no group {name!r}; the plan has {', '.join(self.groups)}")
        return self.groups[name]

    @property
    def whole(self) -> str:
        """What ids call the whole plan: `all`, unless a group is called so."""
        return "all" if "all" not in self.groups else "all-groups-together"

    @cached_property
    def is_rehearsal(self) -> bool:
        """Whether these are the runs of a rehearsal, which holds a part of the plan."""
        return any(status.run.smoke for status in self.statuses.values())

    def without(self, group: str, runs: Container[str]) -> "Evidence":
        """The same evidence, but for RUNS of GROUP, as if it had never made them; other groups that plan them keep them."""
        other = copy(self)
        other._cells = {**self._cells, group: tuple(cell.without(runs) for cell in self.cells(group))}
        other._index, other._runs, other._recorded = {}, {}, {}
        vars(other).pop("_all", None)
        return other

    def cells(self, group: str | None = None) -> tuple[CellEvidence, ...]:
        """The cells of GROUP, or of the whole plan (a cell of two groups once), in the order of the plan."""
        if group is not None:
            return self._cells[self.group(group).name]
        return self._all

    def cells_of(self, groups: Iterable[str]) -> tuple[CellEvidence, ...]:
        """The cells of GROUPS in their order; one of two groups once, as the first has it."""
        found: dict[str, CellEvidence] = {}
        for cell in (cell for group in groups for cell in self.cells(group)):
            found.setdefault(cell.name, cell)
        return tuple(found.values())

    def having(self, where: Mapping[str, Any], group: str | None = None) -> tuple[CellEvidence, ...]:
        """The cells of GROUP, or of the whole plan, with these parameters; what one lacks altogether is no difference.

        Raises UnknownName where no cell has a parameter of that name, or none is left.
        """
        cells, whose = self.cells(group), f"group {group!r}" if group else "the plan"
        for name in where:
            if not any(name in cell.parameters for cell in cells):
                valid = ", ".join(dict.fromkeys(name for cell in cells for name in cell.parameters))
                raise UnknownName(f"where: no parameter {name!r}; the cells of {whose} have {valid}")
        found = tuple(c for c in cells if all(c.parameters.get(name, value) == value for name, value in where.items()))
        if not found:
            raise UnknownName(f"where: no cell of {whose} has {parameters_text(where)}")
        return found

    def sweep(self, group: str, along: str, where: Mapping[str, Any] = FrozenMapping()) -> list[CellEvidence]:
        """The cells of GROUP with the parameters WHERE, by the parameter ALONG which they lie.

        Raises UnknownName where two of them lie at one level: a step between them would be none of ALONG.
        """
        levels = by_level(self.having(where, group), along)
        for one, other in pairwise(levels):
            if one.parameters[along] == other.parameters[along]:
                others = varying_parameters((one, other))
                raise UnknownName(
                    f"where: cells of group {group!r} with {along}={one.parameters[along]} differ in "
                    f"{', '.join(others)}; name a value, as in {{{others[0]}: {one.parameters[others[0]]}}}"
                )
        return levels

    def runs(self, group: str | None = None) -> tuple[RunStatus, ...]:
        """The runs of GROUP, or of the whole plan."""
        if group not in self._runs:
            self._runs[group] = tuple(status for cell in self.cells(group) for status in cell.statuses)
        return self._runs[group]

    def recorded(self, group: str | None = None) -> tuple[Record, ...]:
        """The measured records of GROUP, or of the whole plan."""
        if group not in self._recorded:
            self._recorded[group] = tuple(record for cell in self.cells(group) for record in cell.records)
        return self._recorded[group]

    def matching(self, parameters: Mapping[str, Any]) -> tuple[CellEvidence, ...]:
        """The cells of the whole plan that have these PARAMETERS; looked up, not searched, for there may be many."""
        names = tuple(sorted(parameters))
        if names not in self._index:
            index: dict[tuple[Any, ...], list[CellEvidence]] = {}
            for cell in self.cells():
                index.setdefault(tuple(cell.parameters.get(name) for name in names), []).append(cell)
            self._index[names] = index
        return tuple(self._index[names].get(tuple(parameters[name] for name in names), ()))

    def cell(self, group: str, parameters: Mapping[str, Any]) -> CellEvidence:
        """The one cell of GROUP with these PARAMETERS; as few as needed may be named.

        Raises UnknownName where none or several fit, or the group has no such parameter.
        """
        cells = self.cells(group)
        for name in parameters:
            if name not in cells[0].parameters:
                valid = ", ".join(cells[0].parameters)
                raise UnknownName(f"group {group!r} has no parameter {name!r}; its cells have {valid}")
        found = [cell for cell in cells if all(cell.parameters[name] == value for name, value in parameters.items())]
        if len(found) != 1:
            fit = "no cell" if not found else f"{len(found)} cells"
            varying = varying_parameters(cells)
            listed = "; ".join(parameters_text({name: cell.parameters[name] for name in varying}) for cell in cells)
            raise UnknownName(
                f"{fit} of group {group!r} with {parameters_text(parameters) or 'no parameter named'}; "
                f"name exactly one of: {listed or cells[0].name}"
            )
        return found[0]
