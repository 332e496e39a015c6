"""Reading the authors' files strictly: YAML without repeated names, and checks that name file and field."""

from collections.abc import Hashable, Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import yaml

from experiments.spec import ConfigurationError


def read_text(path: Path) -> str:
    """The text of PATH. Raises ConfigurationError where it cannot be read or is not UTF-8, naming the line."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"{path.name}: cannot be read: {error.strerror}; expected {path}") from error
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        number = content.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(
            f"{path.name}:{number}: found the byte 0x{content[error.start]:02X}; expected UTF-8: save the file so"
        ) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")  # as in text mode


def read_yaml(path: Path) -> dict[str, Any]:
    """The mapping in PATH; a name given twice is refused, as YAML itself would silently keep the last."""
    text = read_text(path)
    try:
        content = yaml.load(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise ConfigurationError(f"{path.name}: this is no YAML: {error}") from error
    return mapping(content, path.name)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML's safe loader, which refuses a name given twice (a name merged by `<<` may be given anew)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """As the safe loader; raises a YAML error at the second occurrence of a name."""
        keys = [key for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        names = [self.construct_object(key, deep=True) for key in keys]
        for index, (key, name) in enumerate(zip(keys, names, strict=True)):
            if name in names[:index]:
                problem = f"the name {name!r} stands twice"
                raise yaml.constructor.ConstructorError("in a mapping", node.start_mark, problem, key.start_mark)
        return super().construct_mapping(node, deep)


def refuse(place: str, value: Any, expected: str) -> NoReturn:
    """Raise a ConfigurationError that says what stands at PLACE and what should."""
    raise ConfigurationError(f"{place}: found {value!r}; expected {expected}")


def mapping(value: Any, place: str) -> dict[str, Any]:
    """VALUE, if it is a mapping."""
    if not isinstance(value, dict):
        refuse(place, value, "a mapping")
    return value


def check_names(content: Mapping[str, Any], known: Iterable[str], needed: Iterable[str], place: str) -> None:
    """Every name of CONTENT is known and every needed one is there."""
    for name in content:
        if name not in known:
            raise ConfigurationError(f"{place}: unknown field {name!r}; the fields are {', '.join(sorted(known))}")
    for name in sorted(needed):
        if name not in content:
            raise ConfigurationError(f"{place}: the field {name!r} is missing")


def line(value: Any, place: str) -> str:
    """Text on one line, with single spaces."""
    if not isinstance(value, str) or not value.strip():
        refuse(place, value, "text that is not empty")
    return " ".join(value.split())


def lines(value: Any, place: str) -> tuple[str, ...]:
    """A list of texts, each on one line."""
    if not isinstance(value, list):
        refuse(place, value, "a list of texts")
    return tuple(line(item, f"{place}[{index}]") for index, item in enumerate(value))
