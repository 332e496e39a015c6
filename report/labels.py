"""What a paper calls the parameters of its cells: `labels` of tables.yaml, for heads of tables, sentences and reasons."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from experiments.plan_file import suggest
from experiments.spec import ConfigurationError
from experiments.strict_yaml import read_yaml
from report.fields import line, mapping

FILE = "tables.yaml"


def read_labels(paper: Path, parameters: Collection[str] = ()) -> dict[str, str]:
    """Parameter -> label, from tables.yaml in the folder PAPER; none where there is no such file.

    Raises ConfigurationError for what is no label or, where PARAMETERS are known, is of none of them.
    """
    path = paper / FILE
    return check_labels(read_yaml(path).get("labels"), parameters) if path.is_file() else {}


def check_labels(content: Any, parameters: Collection[str] = ()) -> dict[str, str]:
    """The labels that CONTENT, the field of tables.yaml, holds; raises as `read_labels` does."""
    place = f"{FILE}: labels"
    labels: Mapping[str, Any] = mapping(content, place)
    for parameter in labels:
        if parameters and parameter not in parameters:
            known = suggest(str(parameter), parameters)
            raise ConfigurationError(f"{place}: no run has a parameter {parameter!r}{known}")
    return {parameter: line(label, f"{place}.{parameter}") for parameter, label in labels.items()}
