"""The claims under test and the rules by which they will be judged, fixed in claims.yaml before anything is run."""

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any

from experiments import arithmetic
from experiments.plan_file import suggest
from experiments.rules import ORIGINAL, digest_rules
from experiments.spec import ConfigurationError, FrozenMapping
from experiments.strict_yaml import read_yaml
from report import options
from report.fields import check_names, line, lines, mapping, refuse

OURS = "ours"  # the certainty of a claim that no original makes
CERTAINTIES = (
    "seen in primary source",
    "seen in secondary source",
    "only in the earlier report",
    "carried over by us",
    OURS,
)


class ClaimKind(StrEnum):
    """The kinds of claim, each with its own rule of judgement."""

    DIRECTION = "direction"  # one cell is better than another
    TREND = "trend"  # accuracy rises or falls along a parameter
    EQUALITY = "equality"  # a quoted accuracy, within a margin
    EQUIVALENCE = "equivalence"  # two cells have the same accuracy, within a margin
    THRESHOLD = "threshold"  # more than a quoted accuracy
    COUNT = "count"  # quoted parameter counts, exactly
    COMPOUND = "compound"  # several claims at once


@dataclass(frozen=True)
class Protocol:
    """How an original was produced, as far as it is known: the settings that a comparison of values depends on."""

    name: str
    title: str
    source: str
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Formula:
    """An arithmetic expression of a cell's parameters, such as its parameter count.

    `constants` are, by data set, what a cell does not say; the first data set is meant where a cell names none.
    """

    name: str
    expression: str
    constants: Mapping[str, Mapping[str, Any]]
    source: str

    def evaluate(self, parameters: Mapping[str, Any]) -> float:
        """The value for PARAMETERS; an unknown or missing name is refused."""
        place = self._place
        dataset = parameters.get("dataset", next(iter(self.constants)))
        if dataset not in self.constants:
            refuse(f"{place}: dataset", dataset, f"one of {', '.join(self.constants)}")
        values = {**self.constants[dataset], **parameters}
        return arithmetic.evaluate(self._tree, values, place)

    @cached_property
    def _tree(self) -> ast.expr:
        return arithmetic.parse(self.expression, self._place)

    @property
    def _place(self) -> str:
        return f"claims.yaml: formulas.{self.name}"


@dataclass(frozen=True)
class Claim:
    """One checkable sentence of an original and the rule by which it will be judged.

    `margin` is a fraction; `quoted` names rows of original.csv; `essential` are the settings without which even a
    direction says nothing about the claim; `untested` says why no run is planned for it; where there
    are runs all the same they are judged. `digest` is the rule's, as records keep it; empty where it is not known.
    """

    id: str
    sentence: str
    source: str
    certainty: str
    kind: ClaimKind
    main: bool
    alpha: float
    min_seeds: int
    protocol: Protocol | None
    group: str | None = None
    cell: Mapping[str, Any] = FrozenMapping()
    better: Mapping[str, Any] = FrozenMapping()
    worse: Mapping[str, Any] = FrozenMapping()
    along: str = ""
    order: str = ""
    quoted: tuple[str, ...] = ()
    margin: float | None = None
    reason: str = ""
    family: str = ""
    essential: tuple[str, ...] = ()
    deviations: tuple[str, ...] = ()
    untested: str = ""
    reference: Mapping[str, Any] = FrozenMapping()
    parts: tuple[str, ...] = ()
    digest: str = ""

    @property
    def is_beyond(self) -> bool:
        """Whether it is our own: there is nothing to reproduce, so it is counted apart and in other words."""
        return self.certainty == OURS


@dataclass(frozen=True)
class Claims:
    """claims.yaml as a whole."""

    alpha: float
    min_seeds: int
    claims: Mapping[str, Claim]
    protocols: Mapping[str, Protocol]
    formulas: Mapping[str, Formula]


ORDERS = ("increasing", "decreasing")
_NAME = re.compile(r"\w[\w.-]{0,99}")
_TOP = {"version": True, "alpha": True, "min_seeds": True, "formulas": False, "protocols": True, "claims": True}
_ALWAYS = {"sentence", "source", "certainty", "kind", "main", "protocol"}
_SOMETIMES = {"min_seeds", "alpha", "essential", "deviations", "reason", "family", "untested"}
_NEEDED = {
    ClaimKind.DIRECTION: {"group", "better", "worse", "margin", "reason", "family"},
    ClaimKind.TREND: {"group", "along", "order", "margin", "reason", "family"},
    ClaimKind.EQUALITY: {"group", "cell", "quoted", "margin", "reason"},
    ClaimKind.EQUIVALENCE: {"group", "cell", "reference", "margin", "reason"},
    ClaimKind.THRESHOLD: {"group", "cell", "quoted"},
    ClaimKind.COUNT: {"quoted"},
    ClaimKind.COMPOUND: {"parts"},
}
_POSSIBLE = {ClaimKind.DIRECTION: {"quoted"}, ClaimKind.TREND: {"quoted", "cell"}}


def read_claims(path: Path) -> Claims:
    """The claims, protocols and formulas of PATH.

    Raises ConfigurationError, naming the field, for anything unclear: every claim's first fault, on a line each.
    """
    content = read_yaml(path)
    place = path.name
    check_names(content, _TOP, {name for name, needed in _TOP.items() if needed}, place)
    if content["version"] != 1:
        refuse(f"{place}: version", content["version"], "1")
    alpha = _alpha(content["alpha"], f"{place}: alpha")
    min_seeds = _min_seeds(content["min_seeds"], f"{place}: min_seeds")
    parts = {part: _named(content.get(part, {}), f"{place}: {part}") for part in ("formulas", "protocols", "claims")}
    formulas = {name: _formula(name, item, f"{place}: formulas.{name}") for name, item in parts["formulas"].items()}
    protocols = {name: _protocol(name, item, f"{place}: protocols.{name}") for name, item in parts["protocols"].items()}
    claims, faults = dict[str, Claim](), list[str]()
    for id, item in parts["claims"].items():
        try:
            common = {"alpha": alpha, "min_seeds": min_seeds}
            claims[id] = _claim(id, {**common, **item}, protocols, f"{place}: claims.{id}")
        except ConfigurationError as error:
            faults.append(str(error))
    if faults:
        raise ConfigurationError("\n".join(faults))
    _check_parts(claims, place)
    digests = digest_rules(content, path.parent / ORIGINAL)
    claims = {id: replace(claim, digest=digests[id]) for id, claim in claims.items()}
    return Claims(alpha, min_seeds, claims, protocols, formulas)


def _named(content: Any, place: str) -> dict[str, dict[str, Any]]:
    """Mappings by name; a name becomes a link's target and part of a sentence."""
    for name, item in mapping(content, place).items():
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            refuse(f"{place}: the name", name, "letters, digits, dots, hyphens and underscores")
        mapping(item, f"{place}.{name}")
    return content


def _check_parts(claims: Mapping[str, Claim], place: str) -> None:
    """A compound's parts are claims of the file, at least two, each once, and none is a compound."""
    simple = [id for id, claim in claims.items() if claim.kind is not ClaimKind.COMPOUND]
    for claim in claims.values():
        if claim.kind is not ClaimKind.COMPOUND:
            continue
        parts = set(claim.parts)
        if len(parts) < 2 or len(parts) < len(claim.parts) or not parts <= set(simple):
            wanted = f"two or more of {', '.join(simple)}, each once"
            refuse(f"{place}: claims.{claim.id}.parts", list(claim.parts), wanted)


def _formula(name: str, item: Any, place: str) -> Formula:
    fields = {"expression", "constants", "source"}
    check_names(mapping(item, place), fields, fields, place)
    arithmetic.parse(item["expression"], f"{place}.expression")
    constants = mapping(item["constants"], f"{place}.constants")
    if not constants:
        refuse(f"{place}.constants", constants, "a mapping of at least one data set to its constants")
    for dataset, values in constants.items():
        line(dataset, f"{place}.constants: the name")
        for constant in mapping(values, f"{place}.constants.{dataset}"):
            line(constant, f"{place}.constants.{dataset}: the name")
    return Formula(name, item["expression"], constants, line(item["source"], f"{place}.source"))


def _protocol(name: str, item: Any, place: str) -> Protocol:
    fields = {"title", "source", "settings"}
    check_names(mapping(item, place), fields, fields, place)
    title, source = (line(item[field], f"{place}.{field}") for field in ("title", "source"))
    for setting, value in mapping(item["settings"], f"{place}.settings").items():
        line(setting, f"{place}.settings: the name")
        if value is not None and not isinstance(value, str | int | float):
            refuse(f"{place}.settings.{setting}", value, "text, a number, true, false or null")
    return Protocol(name, title, source, item["settings"])


def _claim(id: str, item: Any, protocols: Mapping[str, Protocol], place: str) -> Claim:
    kind_text = item.get("kind")
    if not isinstance(kind_text, str) or kind_text not in list(ClaimKind):
        refuse(f"{place}.kind", kind_text, " | ".join(ClaimKind))
    kind = ClaimKind(kind_text)
    needed = _NEEDED[kind] if "untested" not in item else {"family"} & _NEEDED[kind]
    known = _ALWAYS | _SOMETIMES | _NEEDED[kind] | _POSSIBLE.get(kind, set())
    check_names(item, known, _ALWAYS | needed, place)
    if item["protocol"] is not None and item["protocol"] not in list(protocols):
        refuse(f"{place}.protocol", item["protocol"], f"null or one of {', '.join(protocols)}")
    if "order" in item and item["order"] not in ORDERS:
        refuse(f"{place}.order", item["order"], " | ".join(ORDERS))
    if "group" in item and not (isinstance(item["group"], str) and item["group"]):
        refuse(f"{place}.group", item["group"], "the name of a group of the plan")
    if type(item["main"]) is not bool:
        refuse(f"{place}.main", item["main"], "true or false")
    if item["certainty"] not in CERTAINTIES:  # a misspelt `ours` would make it the original's
        refuse(f"{place}.certainty", item["certainty"], f"a known one{suggest(str(item['certainty']), CERTAINTIES)}")
    if item["certainty"] == OURS and item["main"]:
        refuse(f"{place}.main", True, f"false: a claim of certainty {OURS!r} cannot decide on the original")
    if item["certainty"] == OURS and item.get("quoted"):
        refuse(f"{place}.quoted", item["quoted"], f"none: what an original says is no claim of certainty {OURS!r}")
    _alpha(item["alpha"], f"{place}.alpha")
    _min_seeds(item["min_seeds"], f"{place}.min_seeds")
    if "margin" in item:
        _share(item["margin"], f"{place}.margin", 1, "a number between 0 and 1 (0.005 is 0.5 pp)")
    values = dict(item, id=id, kind=kind, protocol=protocols.get(item["protocol"]))
    for field in ("sentence", "source", "reason", "untested", "along", "family"):
        if field in values:
            values[field] = line(values[field], f"{place}.{field}")
    for field in ("cell", "reference", "better", "worse"):
        options.parameters(values.get(field, {}), f"{place}.{field}")
        values[field] = FrozenMapping(values.get(field))
    for field in ("quoted", "essential", "deviations", "parts"):
        values[field] = lines(values.get(field, []), f"{place}.{field}")
    settings = values["protocol"].settings if values["protocol"] else ()
    for setting in values["essential"]:
        if setting not in settings:
            wanted = f"a setting of its protocol{suggest(setting, settings)}" if settings else "none without a protocol"
            refuse(f"{place}.essential", setting, wanted)
    if kind is ClaimKind.EQUIVALENCE and values["cell"] == values["reference"]:
        refuse(f"{place}.reference", dict(values["reference"]), "another cell than `cell`")
    return Claim(**values)


def _alpha(value: Any, place: str) -> float:
    """An error rate: from a half on, the interval that goes with two one-sided tests is none."""
    return _share(value, place, 0.5, "an error rate between 0 and 0.5, such as 0.05")


def _share(value: Any, place: str, below: float, expected: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < below:
        refuse(place, value, expected)
    return float(value)


def _min_seeds(value: Any, place: str) -> int:
    if type(value) is not int or value < 2:
        refuse(place, value, "a whole number from 2 on")
    return value
