"""Reading what a person writes in YAML, strictly: UTF-8, one mapping, no objects, no key twice."""

from collections.abc import Hashable
from pathlib import Path
from typing import Any

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
    if not isinstance(content, dict):
        raise ConfigurationError(f"{path.name}: found {content!r}; expected a mapping")
    return content


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """YAML's safe loader, which refuses a name given twice (a name merged by `<<` may be given anew)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """As the safe loader; raises a YAML error at the second occurrence of a name."""
        keys = [key for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        names = [self.construct_object(key, deep=True) for key in keys]
        for index, (key, name) in enumerate(zip(keys, names, strict=True)):
            if name in names[:index]:
                again = f"the key {name!r} stands twice, again in line {key.start_mark.line + 1}"
                raise yaml.constructor.ConstructorError(None, None, again)
        return super().construct_mapping(node, deep)
