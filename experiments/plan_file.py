"""The file plan.yaml itself: YAML that is read strictly, field by field, before anything is made of it."""

import difflib
import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn

from experiments.reading import FILE_NAME_RULE, is_file_name
from experiments.spec import ConfigurationError, Scalar
from experiments.strict_yaml import read_yaml

VERSION = 1
DEVICE_CLASSES = ("cpu", "cuda")
MAX_RUNS = 20_000  # of a plan: each takes some kilobytes, and a file of a megabyte can spell thousands of millions
NOTEBOOK = ".ipynb"

_TOP = {
    "version": int,
    "name": str,
    "variant": dict,
    "work": (str, int, float, dict),
    "speed": dict,
    "data": dict,
    "values": dict,
    "defaults": dict,
    "groups": dict,
    "smoke": dict,
}
_GROUP = {
    "title": str,
    "question": str,
    "budget": str,
    "source": str,
    "notebook": str,
    "needs": str,
    "resources": dict,
    "parameters": dict,
    "cells": list,
    "grid": dict,
    "seeds": list,
}
_NUMBER = (int, float)
_WORDS = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "a mapping",
    list: "a list",
}
_RESOURCES = {
    "partition": str,
    "hours": _NUMBER,
    "quiet_minutes": _NUMBER,
    "cpus": int,
    "gpus": _NUMBER,
    "memory_gib": _NUMBER,
}
_VARIANT = {"usual": (str, int, float, bool), "text": str}
_WORK = {"by": str, "of": dict}
_DEFAULTS = {"notebook": str, "parameters": dict, "resources": dict}
_SMOKE = {"parameters": dict, "seeds": list, "groups": list, "only": dict, "instead": dict, "work": _TOP["work"]}

REQUIRED = {  # section, as the reference calls it -> the fields that it must have
    "the file": ("version", "name", "work", "speed", "groups"),
    "groups: NAME": ("title", "question", "seeds"),
    "variant: PARAMETER": tuple(_VARIANT),
    "work": tuple(_WORK),
    "smoke": ("parameters", "seeds"),
}


def read_plan_file(path: Path) -> dict[str, Any]:
    """The content of plan.yaml, its sections checked: known fields of the right type, the required ones there.

    Raises:
        ConfigurationError: with file, section and field.
    """
    content, place = read_yaml(path), path.name
    _check_fields(content, _TOP, place, required=REQUIRED["the file"])
    if content["version"] != VERSION:
        refuse(place, "version", content["version"], f"{VERSION}")
    _check_fields(content.setdefault("defaults", {}), _DEFAULTS, f"{place}: defaults")
    _check_resources(content["defaults"].get("resources", {}), f"{place}: defaults: resources")
    if "notebook" in content["defaults"]:
        _check_notebook(content["defaults"]["notebook"], f"{place}: defaults")
    for name, group in content["groups"].items():
        _check_group(group, name, f"{place}: groups: {name}", content["defaults"])
    for name, folder in content.setdefault("data", {}).items():
        _check_data(name, folder, f"{place}: data")
    for name, variant in content.setdefault("variant", {}).items():
        _check_fields(variant, _VARIANT, f"{place}: variant: {name}", required=_VARIANT)
    _check_work(content["work"], f"{place}: work")
    _check_speed(content["speed"], place)
    for name, allowed in content.setdefault("values", {}).items():
        _check_allowed(allowed, f"{place}: values", str(name))
    _refuse_seed(content["defaults"], f"{place}: defaults", "a group")
    for name, group in content["groups"].items():
        _refuse_seed(group, f"{place}: groups: {name}", "a group")
    if "smoke" in content:
        _check_smoke(content["smoke"], content["groups"], f"{place}: smoke")
    return content


def read_cells(group: Mapping[str, Any], place: str) -> list[dict[str, Any]]:
    """The parameters in which the group's cells differ, from its list or its grid."""
    if ("cells" in group) == ("grid" in group):
        raise ConfigurationError(f"{place}: expected either 'cells' or 'grid'")
    where = "cells" if "cells" in group else "grid"
    cells = group["cells"] if where == "cells" else _spread_grid(group["grid"], f"{place}: grid")
    seen: set[str] = set()
    for index, cell in enumerate(cells):
        if not isinstance(cell, dict) or not _are_names(cell):
            refuse(f"{place}: {where}", str(index), cell, "a mapping of parameters")
        if twice := sorted(cell.keys() & {"seed", *group.get("parameters", {})}):
            refuse(f"{place}: {where}", twice[0], cell[twice[0]], "a parameter that is not also set for the group")
        if (mark := repr(sorted(cell.items()))) in seen:
            refuse(f"{place}: {where}", str(index), cell, "each cell once")
        seen.add(mark)
    if not cells:
        refuse(place, where, cells, "at least one cell")
    return cells


def _are_names(parameters: Iterable[Any]) -> bool:
    return all(isinstance(name, str) for name in parameters)


def check_value(name: str, value: Any, allowed: Any, place: str) -> None:
    """Refuses a parameter's value that the section `values` does not allow: not listed, or below the least."""
    if isinstance(allowed, list) and value not in allowed:
        spelled = [json.dumps(one) if isinstance(one, bool) else str(one) for one in allowed]  # `true`, as YAML has it
        refuse(place, name, value, f"{' or '.join(spelled)}, as the section 'values' has it")
    if isinstance(allowed, dict) and not (isinstance(value, int | float) and value >= allowed["least"]):
        refuse(place, name, value, f"{allowed['least']} or more, as the section 'values' has it")


def suggest(name: str, known: Iterable[str]) -> str:
    """The end of a sentence that refuses a name: the nearest ones, or else the first few."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    if near:
        return f"; did you mean {' or '.join(map(repr, near))}?"
    return f"; there are {', '.join(names[:8])}{' ...' if len(names) > 8 else ''}" if names else "; there are none"


def refuse(place: str, name: str, value: Any, expected: str) -> NoReturn:
    """Raises the error of a field with a wrong value."""
    raise ConfigurationError(f"{place}: {name}: found {value!r:.200}; expected {expected}")


def _check_group(group: Any, name: Any, place: str, defaults: Mapping[str, Any]) -> None:
    if not is_file_name(name):
        refuse(place, "name", name, FILE_NAME_RULE)
    _check_fields(group, _GROUP, place, required=REQUIRED["groups: NAME"])
    if group.get("needs") not in (None, *DEVICE_CLASSES):
        refuse(place, "needs", group["needs"], " or ".join(DEVICE_CLASSES))
    if "notebook" not in group and "notebook" not in defaults:
        refuse(place, "notebook", None, "the notebook's file name, here or in defaults")
    if "notebook" in group:
        _check_notebook(group["notebook"], place)
    _check_resources(group.get("resources", {}), f"{place}: resources")
    _check_seeds(group["seeds"], place)


def _check_resources(resources: Any, place: str) -> None:
    """Numbers above 0, save that a group may say that it wants no GPU."""
    _check_fields(resources, _RESOURCES, place)
    for name, value in resources.items():
        if name == "partition":
            if not is_file_name(value):
                refuse(place, name, value, FILE_NAME_RULE)
        elif not (value > 0 or (value == 0 and name == "gpus")):
            refuse(place, name, value, "0 or more" if name == "gpus" else "a number above 0")


def _check_notebook(name: str, place: str) -> None:
    """The notebook lies beside the plan: a path could lead to code that nobody has reviewed."""
    if not is_file_name(name) or not name.endswith(NOTEBOOK):
        refuse(place, "notebook", name, f"the name of a file beside the plan that ends in {NOTEBOOK}")


def _check_data(name: Any, folder: Any, place: str) -> None:
    """A data set's folder below the data root, and not anywhere else."""
    parts = PurePosixPath(folder).parts if isinstance(folder, str) else ()
    if not parts or not all(map(is_file_name, parts)):
        refuse(place, str(name), folder, "the folder of this data set below the data root, such as 'a' or 'a/b'")


def _refuse_seed(holder: Mapping[str, Any], place: str, who: str) -> None:
    parameters = holder.get("parameters", {})
    if "seed" in parameters:
        refuse(f"{place}: parameters", "seed", parameters["seed"], f"none; {who} lists its seeds")


def _check_smoke(smoke: Any, groups: Mapping[str, Any], place: str) -> None:
    _check_fields(smoke, _SMOKE, place, required=REQUIRED["smoke"])
    rehearsed = smoke.setdefault("groups", list(groups))
    _check_seeds(smoke["seeds"], place)
    _refuse_seed(smoke, place, "smoke")
    _check_work(smoke.get("work", ""), f"{place}: work")
    for name in rehearsed:
        if not isinstance(name, str) or name not in groups:
            raise ConfigurationError(f"{place}: groups: no group {name!r}{suggest(str(name), groups)}")
    for name, values in smoke.get("only", {}).items():
        if name not in rehearsed:
            raise ConfigurationError(f"{place}: only: no group {name!r}{suggest(str(name), rehearsed)}")
        if not isinstance(values, dict) or not all(isinstance(listed, list) for listed in values.values()):
            refuse(f"{place}: only", name, values, "a list of values for each parameter that decides")
    for name, values in smoke.get("instead", {}).items():
        if not isinstance(values, dict):
            refuse(f"{place}: instead", str(name), values, "what a cell's value becomes, such as {256: 16}")


def _check_seeds(seeds: Sequence[Any], place: str) -> None:
    if not seeds or any(type(seed) is not int or seed < 0 for seed in seeds):
        refuse(place, "seeds", seeds, "integers from 0, at least one")
    if len(set(seeds)) < len(seeds):
        refuse(place, "seeds", seeds, "each seed once")


def _check_work(work: Any, place: str) -> None:
    """One expression, or one for each value of a parameter: `{by: architecture, of: {vit: ...}}`."""
    if isinstance(work, dict):
        _check_fields(work, _WORK, place, required=_WORK)
        for value, text in work["of"].items():
            if type(text) not in (str, int, float):
                refuse(f"{place}: of", str(value), text, "an arithmetic expression")


def _check_speed(speed: Mapping[str, Any], place: str) -> None:
    for name, value in speed.items():
        if name not in DEVICE_CLASSES:
            refuse(f"{place}: speed", str(name), value, f"a device class: {' or '.join(DEVICE_CLASSES)}")
        if type(value) not in (int, float) or not 0 < value < float("inf"):
            refuse(f"{place}: speed", name, value, "GFLOP/s above 0")
    if not speed:
        refuse(place, "speed", speed, "GFLOP/s of at least one device class")


def _check_allowed(allowed: Any, place: str, name: str) -> None:
    is_list = isinstance(allowed, list) and bool(allowed) and all(isinstance(one, Scalar) for one in allowed)
    is_least = isinstance(allowed, dict) and allowed.keys() == {"least"} and type(allowed["least"]) in (int, float)
    if not (is_list or is_least):
        refuse(
            place,
            name,
            allowed,
            "a list of the values that it may have, each text, a number, true or false, or {least: a number}",
        )


def _check_fields(
    content: Any, known: Mapping[str, type | tuple[type, ...]], place: str, required: Iterable[str] = ()
) -> None:
    """A mapping with known fields only, each of its type, the required ones there."""
    if not isinstance(content, dict):
        raise ConfigurationError(f"{place}: found {content!r}; expected a mapping")
    for name, value in content.items():
        if name not in known:
            raise ConfigurationError(f"{place}: unknown field {name!r}; the fields are {', '.join(known)}")
        types = known[name] if isinstance(known[name], tuple) else (known[name],)
        if type(value) not in types:
            listed = [_WORDS[each] for each in types if each is not int or float not in types]
            refuse(place, name, value, " or ".join(listed))
        if name == "parameters" and not _are_names(value):
            refuse(place, name, value, "a mapping of parameters")
    for name in required:
        if name not in content:
            raise ConfigurationError(f"{place}: the field {name!r} is missing")


def _spread_grid(grid: Mapping[str, Any], place: str) -> list[dict[str, Any]]:
    for name, values in grid.items():
        if not isinstance(values, list) or not values:
            refuse(place, name, values, "a list of values")
    if (cells := math.prod(map(len, grid.values()))) > MAX_RUNS:
        raise ConfigurationError(f"{place}: {cells:,} cells; expected at most {MAX_RUNS:,}")
    return [dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values())]
