"""The published schemas are schemas, say what each field is, and hold the documents that they describe."""

from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from experiments import status_document
from experiments.spec import State
from report.checking import findings_document
from report.diffs import diff_pages
from report.diffs.changes import Severity, Subject
from report.review import certificate
from report.review.agreement import Agreement
from report.review.certificate import Overall
from tests.schemas import FOLDER, faults_of, read_schema

NAMES = {
    "status": status_document.SCHEMA_NAME,
    "check": findings_document.SCHEMA_NAME,
    "diff": diff_pages.SCHEMA_NAME,
    "certificate": certificate.SCHEMA_NAME,
}


def objects_of(schema: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every part of a schema that describes an object with fields."""
    if isinstance(schema, dict):
        if "properties" in schema:
            yield place, schema
        for name, part in schema.items():
            yield from objects_of(part, f"{place}/{name}")


def test_every_schema_is_listed_here() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {f"{name}.schema.json" for name in NAMES}


@pytest.mark.parametrize(("name", "version"), NAMES.items())
def test_a_schema_is_of_2020_12_and_names_its_version_as_the_documents_do(name: str, version: str) -> None:
    schema = read_schema(name)
    assert schema["$schema"] == Draft202012Validator.META_SCHEMA["$id"]
    Draft202012Validator.check_schema(schema)
    assert schema["properties"]["schema"] == {"const": version}
    assert schema["$id"] == f"urn:{version.replace('/', ':')}"
    assert schema["description"].endswith("A field is only ever added within version 1.")


@pytest.mark.parametrize("name", NAMES)
def test_a_schema_lets_no_field_pass_that_it_does_not_know(name: str) -> None:
    found = dict(objects_of(read_schema(name)))
    assert "" in found
    assert [place for place, part in found.items() if part.get("additionalProperties") is not False] == []
    optional = {place: part["properties"].keys() - set(part["required"]) for place, part in found.items()}
    assert {place: names for place, names in optional.items() if names} == (
        {"/$defs/change": {"numbers"}} if name == "diff" else {}
    )


def test_the_words_of_the_schemas_are_those_of_the_code() -> None:
    status, diff, certificate_ = (read_schema(name) for name in ("status", "diff", "certificate"))
    assert status["$defs"]["state"]["enum"] == list(State)
    assert diff["$defs"]["change"]["properties"]["subject"]["enum"] == list(Subject)
    assert diff["$defs"]["severity"]["enum"] == [severity.name.lower() for severity in sorted(Severity, reverse=True)]
    assert certificate_["$defs"]["outcome"]["enum"] == list(Agreement)
    assert certificate_["properties"]["overall"]["enum"] == list(Overall)


def test_a_document_of_another_form_is_found() -> None:
    document = {"schema": NAMES["check"], "strict": False, "holds": True, "errors": 0, "warnings": -1, "findings": [{}]}
    assert faults_of("check", document)[-1] == "warnings: -1 is less than the minimum of 0"
    assert "findings/0: 'rule' is a required property" in faults_of("check", document)
