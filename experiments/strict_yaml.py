"""Reading what a person writes in YAML, strictly: one mapping, plain values, no objects, no key twice, no bombs.

A few hundred bytes of aliases can stand for more values than a machine has memory, and deep nesting ends the parser
with the process. So the events are counted first, aliases at the size of what they repeat; then the values are made.
"""

import math
from collections.abc import Hashable, Iterator
from pathlib import Path
from typing import Any

import yaml

from experiments.reading import REMEDY, find_deceiving, name_character, read_text
from experiments.spec import ConfigurationError

MAX_DEPTH = 32  # mappings and lists within each other
MAX_VALUES = 200_000  # aliases counted with all that they repeat
TEXT_OF_A_VALUE = 16  # characters: a long text counts as several values
MAX_WHOLE = 10**20  # no setting is larger, and a float holds it
_PARSER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in PATH; a name given twice is refused, as YAML itself would silently keep the last.

    Raises:
        ConfigurationError: the file cannot be read as such; the message names it and the place.
    """
    return parse_yaml(read_text(path), path.name)


def parse_yaml(text: str, place: str) -> dict[str, Any]:
    """The mapping in TEXT, as `read_yaml` has it; PLACE is what messages call it."""
    try:
        _refuse_bombs(text, place)
        content = yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigurationError(f"{place}: this is no YAML: {error}") from error
    if not isinstance(content, dict):
        raise ConfigurationError(f"{place}: found {content!r:.200}; expected a mapping")
    _refuse_odd_values(content, place)
    return content


def _refuse_bombs(text: str, place: str) -> None:
    """Counts depth and values, without making any."""
    sizes: dict[str, int] = {}
    open_parts: list[tuple[str | None, int]] = []  # of each mapping and list that is not closed: anchor, values before
    total = 0
    for event in yaml.parse(text, Loader=_PARSER):
        if getattr(event, "tag", None) is not None:  # YAML's own fail in many ways at a value that is not theirs.
            raise ConfigurationError(f"{_at(event, place)}: found the tag {event.tag!r}; write the value without a tag")
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in sizes:
                raise ValueError(f"the alias {event.anchor!r} stands in itself, or for nothing")
            total += sizes[event.anchor]
        elif isinstance(event, yaml.CollectionStartEvent):
            open_parts.append((event.anchor, total))
            total += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_parts.pop()
            if anchor is not None:
                sizes[anchor] = total - before
        elif isinstance(event, yaml.ScalarEvent):
            size = 1 + len(event.value) // TEXT_OF_A_VALUE
            total += size
            if event.anchor is not None:
                sizes[event.anchor] = size
        if len(open_parts) > MAX_DEPTH:
            raise ConfigurationError(f"{_at(event, place)}: more than {MAX_DEPTH} mappings and lists within each other")
        if total > MAX_VALUES:
            raise ConfigurationError(f"{_at(event, place)}: more than {MAX_VALUES:,} values, repeated ones counted")


def _at(event: yaml.Event, place: str) -> str:
    return f"{place}:{event.start_mark.line + 1}"


def _refuse_odd_values(content: dict[str, Any], place: str) -> None:
    """Refuses what YAML can spell and no setting is: numbers without a value or an end, characters that deceive."""
    for field, value in _list_values(content):
        if isinstance(value, str):
            found = find_deceiving(value)
            if found is not None:
                raise ConfigurationError(f"{place}: {field}: found {name_character(found[0])}; {REMEDY}")
        elif isinstance(value, float) and not math.isfinite(value):
            raise ConfigurationError(f"{place}: {field}: found {value!r}; expected a finite number")
        elif isinstance(value, int) and abs(value) > MAX_WHOLE:
            raise ConfigurationError(f"{place}: {field}: found a whole number above {MAX_WHOLE:,}; expected a smaller")


def _list_values(content: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """(field, value) of every key and plain value; what aliases share is visited once."""
    pending: list[tuple[str, Any]] = [("", content)]
    seen: set[int] = set()
    while pending:
        field, value = pending.pop()
        if not isinstance(value, dict | list):
            yield field, value
        elif id(value) not in seen:
            seen.add(id(value))
            if isinstance(value, dict):
                yield from ((field or "the names", name) for name in value)
                pending += [(f"{field}.{name}" if field else str(name), item) for name, item in value.items()]
            else:
                pending += [(f"{field}[{index}]", item) for index, item in enumerate(value)]


class _Loader(_PARSER):  # type: ignore[misc, valid-type]
    """YAML's safe loader, which refuses a name given twice (a name merged by `<<` may be given anew)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """As the safe loader; raises a YAML error at the second occurrence of a name."""
        seen: set[Hashable] = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                continue
            name = self.construct_object(key, deep=True)
            if isinstance(name, Hashable) and name in seen:
                again = f"the key {name!r} stands twice, again in line {key.start_mark.line + 1}"
                raise yaml.constructor.ConstructorError(None, None, again)
            if isinstance(name, Hashable):
                seen.add(name)
        return super().construct_mapping(node, deep)
