"""What a paper calls the parameters of its cells: `labels` of tables.yaml, for heads of tables, sentences and reasons."""

from collections.abc import Collection
from pathlib import Path
from typing import Any

from experiments.plan_file import suggest
from experiments.spec import ConfigurationError
from experiments.strict_yaml import read_yaml
from report.fields import line, mapping

FILE = "tables.yaml"


def read_labels(paper: Path, parameters: Collection[str]) -> dict[str, str]:
    """Parameter -> label, from tables.yaml in the folder PAPER; none where there is no such file.

    Raises ConfigurationError for what is no label, or of none of PARAMETERS.
    """
    path = paper / FILE
    labels = check_labels(read_yaml(path).get("labels")) if path.is_file() else {}
    for parameter in labels:
        if parameter not in parameters:
            known = suggest(str(parameter), parameters)
            raise ConfigurationError(f"{FILE}: labels: no run has a parameter {parameter!r}{known}")
    return labels


def check_labels(content: Any) -> dict[str, str]:
    """The labels that CONTENT, the field of tables.yaml, holds. Raises ConfigurationError for what is none."""
    place = f"{FILE}: labels"
    return {parameter: line(label, f"{place}.{parameter}") for parameter, label in mapping(content, place).items()}
