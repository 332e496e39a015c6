"""plan.yaml -> groups and runs. Everything unknown, missing or ambiguous is refused with file, group and field."""

import ast
import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from experiments import arithmetic
from experiments.naming import Naming
from experiments.notebooks import Parameter, notebook_parameters, resolve_parameters
from experiments.plan_file import MAX_RUNS, check_value, read_cells, read_plan_file, refuse, suggest
from experiments.reading import refuse_links
from experiments.spec import ConfigurationError, Group, Resources, Run, Scalar


@dataclass(frozen=True)
class Plan:
    """The plan: groups in order, and every run by its name, each once though several groups may hold it."""

    path: Path
    groups: Mapping[str, Group]
    runs: Mapping[str, Run]
    naming: Naming
    speed: Mapping[str, float]  # GFLOP/s assumed of a device class
    data: Mapping[str, str] = field(default_factory=dict)  # data set -> its folder below the data root
    smoke: bool = False
    unrehearsed: frozenset[str] = frozenset()  # the runs of a rehearsal that are left pending

    def group(self, name: str) -> Group:
        """The group of this name; an unknown one is refused with the nearest."""
        if name not in self.groups:
            raise ConfigurationError(f"{self.path.name}: no group {name!r}{suggest(name, self.groups)}")
        return self.groups[name]

    def run(self, name: str) -> Run:
        """The run of this name; an unknown one is refused with the nearest."""
        if name not in self.runs:
            raise ConfigurationError(f"{self.path.name}: no run {name!r}{suggest(name, self.runs)}")
        return self.runs[name]

    def name_of(self, parameters: Mapping[str, Scalar]) -> str:
        """The name of the run with these parameters."""
        return self.naming.name_run(parameters)


def load_plan(path: Path, smoke: bool = False) -> Plan:
    """Reads the plan; the notebooks that it names lie beside it.

    Args:
        path: plan.yaml.
        smoke: the plan's rehearsal instead: the same groups and cells with the parameters and seeds of `smoke`, where
            a cell names no other.

    Raises:
        ConfigurationError: the file breaks a rule; the message names file, group and field.
    """
    refuse_links(path.parent)
    content, place = read_plan_file(path), path.name
    rehearsal = content.get("smoke") if smoke else None
    if smoke and rehearsal is None:
        raise ConfigurationError(
            f"{place}: there is no section 'smoke'; write one, such as "
            "`smoke: {parameters: {epochs: 1}, seeds: [0]}`, to rehearse the plan"
        )
    builder = _Builder(path, content, rehearsal)
    for name in content["groups"] if rehearsal is None else rehearsal["groups"]:
        builder.add_group(name)
    return builder.finish()


def select(plan: Plan, patterns: Sequence[str] = (), group: str | None = None) -> tuple[Run, ...]:
    """The runs that match any of the patterns (as in a shell, against the run's or the cell's name), in plan order."""
    runs = plan.group(group).runs if group else tuple(plan.runs.values())
    if not patterns:
        return runs
    chosen: set[str] = set()
    for pattern in patterns:
        found = [run.name for run in runs if _matches(run, pattern)]
        if not found:
            where = f" in group {group!r}" if group else ""
            if pattern in plan.groups:
                raise ConfigurationError(f"no run{where} matches {pattern!r}; that is a group: --group {pattern}")
            raise ConfigurationError(f"no run{where} matches {pattern!r}{suggest(pattern, [r.name for r in runs])}")
        chosen.update(found)
    return tuple(run for run in runs if run.name in chosen)


class _Builder:
    """Collects groups and the runs that they share while a plan is read."""

    def __init__(self, path: Path, content: Mapping[str, Any], rehearsal: Mapping[str, Any] | None) -> None:
        self.path, self.content, self.rehearsal = path, content, rehearsal
        self.naming = Naming(content["name"], content["variant"], path.name)
        self.work_by, self.work = self._parse_work()
        terms = (term for tree in self.work.values() for term in ast.walk(tree))
        named = {term.id for term in terms if isinstance(term, ast.Name)}
        self.has_work_by_seed = "seed" in {self.work_by, *named}
        self.known: dict[str, Mapping[str, Parameter]] = {}
        self.runs: dict[str, Run] = {}
        self.listed = 0  # runs, counted in each group that has them
        self.folded: dict[str, str] = {}  # a name in small letters -> the run that has it
        self.rehearsed: set[str] = set()
        self.instead = {
            (name, value): other
            for name, values in (rehearsal or {}).get("instead", {}).items()
            for value, other in values.items()
        }
        self.met: set[tuple[str, Any]] = set()
        self.groups: dict[str, tuple[Group, list[str]]] = {}
        self.first_seeds: dict[str, int] = {}

    def add_group(self, name: str) -> None:
        """Makes the runs of one group. A rehearsal has its own seeds and parameters; what a cell names it keeps, or
        takes what the plan gives instead."""
        content, defaults = self.content["groups"][name], self.content["defaults"]
        place = f"{self.path.name}: groups: {name}"
        shared = {**defaults.get("parameters", {}), **content.get("parameters", {})}
        forced = {} if self.rehearsal is None else self.rehearsal["parameters"]
        seeds = content["seeds"] if self.rehearsal is None else self.rehearsal["seeds"]
        group = Group(
            **{key: content.get(key, "") for key in ("title", "question", "budget", "source")},
            name=name,
            notebook=content.get("notebook") or defaults["notebook"],
            runs=(),
            needs=content.get("needs") if self.rehearsal is None else None,
        )
        # A rehearsal is for this machine, and short.
        stated = {**defaults.get("resources", {}), **content.get("resources", {})} if self.rehearsal is None else {}
        cells = read_cells(content, place)
        self.listed += len(cells) * len(seeds)
        if self.listed > MAX_RUNS:
            raise ConfigurationError(
                f"{place}: {len(cells):,} cells of {len(seeds):,} seeds; expected at most {MAX_RUNS:,} runs in all groups"
            )
        resources = Resources(**stated)
        names = [
            name
            for cell in cells
            for name in self._add_cell(group, {**shared, **forced, **self._shrink(cell)}, seeds, resources, place)
        ]
        self.groups[name] = (group, names)
        if self.rehearsal is not None:
            self.rehearsed.update(self._choose_rehearsed(names, self.rehearsal.get("only", {}).get(name, {}), name))

    def _shrink(self, cell: Mapping[str, Any]) -> dict[str, Any]:
        """The cell with what a rehearsal has instead of its values, such as a smaller width."""
        known = {item: self.instead[item] for item in self.instead if item[0] in cell and item[1] == cell[item[0]]}
        self.met.update(known)
        return {**cell, **{name: other for (name, _), other in known.items()}}

    def _choose_rehearsed(self, names: Sequence[str], only: Mapping[str, Sequence[Any]], group: str) -> list[str]:
        """Those of the runs whose parameters are among the values of `only`; all of them where it names none."""
        place = f"{self.path.name}: smoke: only: {group}"
        for parameter in only:
            known = self.runs[names[0]].parameters
            if parameter not in known:
                raise ConfigurationError(f"{place}: no parameter {parameter!r}{suggest(parameter, known)}")
        chosen = [
            name for name in names if all(self.runs[name].parameters[key] in values for key, values in only.items())
        ]
        if not chosen:
            raise ConfigurationError(f"{place}: no run has these values; name those of a cell, or leave the group out")
        return chosen

    def _add_cell(
        self, group: Group, given: Mapping[str, Any], seeds: Sequence[int], resources: Resources, place: str
    ) -> list[str]:
        """Adds the runs of a cell, which differ in their seed alone; returns their names."""
        takes, values = self._known_parameters(group.notebook), self.content["values"]
        first = resolve_parameters(takes, {**given, "seed": seeds[0]}, group.notebook, place)
        for parameter, allowed in values.items():
            if parameter in first and parameter != "seed":
                check_value(parameter, first[parameter], allowed, place)
        alike, names = dict[str, Any](), []
        for seed in seeds:
            parameters = {**first, "seed": takes["seed"].check(seed, place)}
            if "seed" in values:
                check_value("seed", parameters["seed"], values["seed"], place)
            names.append(self._add_run(group, parameters, alike, resources, place))
        return names

    def _add_run(
        self,
        group: Group,
        parameters: Mapping[str, Scalar],
        alike: dict[str, Any],
        resources: Resources,
        place: str,
    ) -> str:
        """Adds the run, or the group to the run that is there; returns its name.

        ALIKE is what the runs of its cell have in common, empty before the first of them that is new.
        """
        name = self.naming.name_run(parameters, place)
        known = self.runs.get(name)
        if known is None:
            if self.folded.setdefault(name.casefold(), name) != name:
                raise ConfigurationError(
                    f"{place}: run {name!r} differs from {self.folded[name.casefold()]!r} in capitals only, which some "
                    "file systems do not tell apart"
                )
            if not alike or self.has_work_by_seed:
                alike |= {"cell": self.naming.name_cell(parameters), "work": self._compute_work(parameters, place)}
            self.runs[name] = Run(
                name=name,
                notebook=group.notebook,
                parameters=parameters,
                groups=(group.name,),
                **alike,
                needs=group.needs,
                smoke=self.rehearsal is not None,
                first=self.first_seeds.setdefault(alike["cell"], parameters["seed"]) == parameters["seed"],
                resources=resources,
            )
            return name
        self._check_same(known, group, parameters, place)
        groups = known.groups if group.name in known.groups else (*known.groups, group.name)
        needs = known.needs if known.needs == group.needs else None
        self.runs[name] = replace(known, groups=groups, needs=needs)
        return name

    def _known_parameters(self, notebook: str) -> Mapping[str, Parameter]:
        """What a notebook takes; each is read once."""
        if notebook not in self.known:
            self.known[notebook] = notebook_parameters(self.path.parent / notebook)
        return self.known[notebook]

    def _check_same(self, known: Run, group: Group, parameters: Mapping[str, Scalar], place: str) -> None:
        if known.notebook != group.notebook:
            raise ConfigurationError(
                f"{place}: run {known.name!r} is of {group.notebook}, but group {known.groups[0]!r} has it of "
                f"{known.notebook}; let the name tell them apart"
            )
        if other := [name for name in parameters if parameters[name] != known.parameters[name]]:
            raise ConfigurationError(
                f"{place}: run {known.name!r} has {other[0]}={parameters[other[0]]!r}, but in group "
                f"{known.groups[0]!r} {other[0]}={known.parameters[other[0]]!r}; put {{{other[0]}}} into the name"
            )

    def finish(self) -> Plan:
        """The plan, when all groups are added."""
        if unmet := [pair for pair in self.instead if pair not in self.met]:
            raise ConfigurationError(f"{self.path.name}: smoke: instead: no cell has {unmet[0][0]}={unmet[0][1]!r}")
        taken = [parameter for parameters in self.known.values() for parameter in parameters]
        if unknown := sorted(self.content["values"].keys() - set(taken)):
            place = f"{self.path.name}: values"
            raise ConfigurationError(f"{place}: no notebook has a parameter {unknown[0]!r}{suggest(unknown[0], taken)}")
        groups = {
            name: replace(group, runs=tuple(self.runs[run] for run in dict.fromkeys(names)))
            for name, (group, names) in self.groups.items()
        }
        speed = {name: float(value) for name, value in self.content["speed"].items()}
        smoke = self.rehearsal is not None
        unrehearsed = frozenset(self.runs) - self.rehearsed if smoke else frozenset()
        return Plan(self.path, groups, self.runs, self.naming, speed, self.content["data"], smoke, unrehearsed)

    def _parse_work(self) -> tuple[str | None, dict[Scalar | None, ast.expr]]:
        """The parameter that `work` depends on, and its expression for each value; None and under None where on none."""
        work, place = self.content["work"], f"{self.path.name}: work"
        if self.rehearsal is not None and "work" in self.rehearsal:
            work, place = self.rehearsal["work"], f"{self.path.name}: smoke: work"
        if not isinstance(work, dict):
            return None, {None: arithmetic.parse(str(work), place)}
        texts = {value: str(text) for value, text in work["of"].items()}
        return work["by"], {value: arithmetic.parse(text, f"{place}: {value}") for value, text in texts.items()}

    def _compute_work(self, parameters: Mapping[str, Scalar], place: str) -> float:
        """The GFLOP of a run with these parameters."""
        value = None if self.work_by is None else parameters.get(self.work_by)
        if value not in self.work:
            known = ", ".join(map(str, self.work))
            raise ConfigurationError(f"{place}: the section 'work' has nothing for {value!r}; it has {known}")
        work = arithmetic.evaluate(self.work[value], parameters, f"{self.path.name}: work")
        if work < 0:
            refuse(place, "work", work, "GFLOP, 0 or more")
        return work


def _matches(run: Run, pattern: str) -> bool:
    return fnmatch.fnmatchcase(run.name, pattern) or fnmatch.fnmatchcase(run.cell, pattern)
