"""The published schemas, and a document checked against its own."""

import json
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

FOLDER = Path(__file__).resolve().parent.parent / "report" / "schemas"


def read_schema(name: str) -> dict[str, Any]:
    """The schema of the documents called NAME: status, check, diff or certificate."""
    return json.loads((FOLDER / f"{name}.schema.json").read_text(encoding="utf-8"))


def faults_of(name: str, document: Any) -> list[str]:
    """Where DOCUMENT is not as its schema has it: `runs/0/state: 'done' is not one of [...]`."""
    validator = Draft202012Validator(read_schema(name), format_checker=Draft202012Validator.FORMAT_CHECKER)
    found = sorted(validator.iter_errors(document), key=lambda error: [str(part) for part in error.absolute_path])
    return [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in found]
