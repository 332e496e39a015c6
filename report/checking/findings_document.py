"""What a check found, for programs: one JSON document as report/schemas/check.schema.json has it."""

import json
from collections.abc import Sequence

from report.checking.findings import Finding

SCHEMA_NAME = "reproduction/check/1"
_FIELDS = ("rule", "severity", "place", "message", "expected", "found", "fix")


def format_findings(findings: Sequence[Finding], *, strict: bool) -> str:
    """The document of FINDINGS in their order; `holds` is what exit code 0 says, where with STRICT warnings count."""
    warnings = sum(finding.severity == "warning" for finding in findings)
    errors = len(findings) - warnings
    document = {
        "schema": SCHEMA_NAME,
        "strict": strict,
        "holds": not (findings if strict else errors),
        "errors": errors,
        "warnings": warnings,
        "findings": [{field: getattr(finding, field) for field in _FIELDS} for finding in findings],
    }
    return json.dumps(document, indent=1, ensure_ascii=False)
