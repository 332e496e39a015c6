"""Which rules were to judge a run when it was made: short digests that its record keeps.

The rules stand in report/paper/claims.yaml, the quoted numbers that they look at in original.csv beside it. A digest
covers what decides: not comments, and not the sentences that only explain. A claim that is edited, added or taken away
after its runs can so be told from one that was fixed before them.
"""

import csv
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from experiments.git import read_blobs, run_git
from experiments.reading import MAX_TEXT_BYTES
from experiments.spec import ConfigurationError, Run
from experiments.strict_yaml import parse_yaml, read_text, read_yaml

FOLDER = "report/paper"
CLAIMS = "claims.yaml"
ORIGINAL = "original.csv"
_COMMIT = re.compile("[0-9a-f]{40}|[0-9a-f]{64}")
_DIGITS = 12  # hexadecimal: two rules of one paper do not share them by chance
EXPLAINING = frozenset({"sentence", "source", "certainty", "reason", "deviations", "untested"})
_QUOTED = ("prefix", "accuracy_pct", "parameters_thousands", "cell", "dataset")
_COMMON = ("alpha", "min_seeds")  # what a claim takes from the top of the file unless it says otherwise


def read_rules(run: Run, root: Path) -> dict[str, str]:
    """Claim -> digest of the rule, of the claims on the run's groups and those on no group; empty without claims.yaml.

    Raises:
        ConfigurationError: claims.yaml cannot be read.
    """
    path = root / FOLDER / CLAIMS
    content = read_yaml(path) if path.is_file() else {}
    digests = digest_rules(content, path.parent / ORIGINAL)
    groups = {id: content["claims"][id].get("group") for id in sorted(digests)}
    return {id: digests[id] for id, group in groups.items() if group is None or group in run.groups}


def digest_rules(content: Mapping[str, Any], original: Path) -> dict[str, str]:
    """Claim -> digest of its rule, of a claims.yaml of this CONTENT and the quoted values in the file ORIGINAL."""
    quoted = parse_quoted(read_text(original), original.name) if original.is_file() else {}
    return {
        id: hashlib.sha256(text.encode()).hexdigest()[:_DIGITS] for id, text in _list_rules(content, quoted).items()
    }


def rules_at(root: Path, commit: str) -> dict[str, Any] | None:
    """Claim -> what decides of its rule, as git has it at COMMIT; None where git has no such files, or odd ones.

    Raises:
        GitFailed: the repository cannot be asked.
    """
    if not _COMMIT.fullmatch(commit):  # as a stranger's record may say: HEAD is a commit to git, and --help an option
        return None
    texts = []
    for name in (CLAIMS, ORIGINAL):
        blob = (run_git(root, "rev-parse", "--verify", "--quiet", f"{commit}:./{FOLDER}/{name}") or "").strip()
        content = read_blobs(root, [blob]).get(blob, b"") if blob else b""
        texts.append(content[:MAX_TEXT_BYTES].decode("utf-8", "replace"))
    try:
        return _decide(*texts)
    except ConfigurationError:
        return None


def rules_today(root: Path) -> dict[str, Any]:
    """The same of the files as they are."""
    paths = [root / FOLDER / name for name in (CLAIMS, ORIGINAL)]
    return _decide(*(read_text(path) if path.is_file() else "" for path in paths))


def _decide(claims: str, original: str) -> dict[str, Any]:
    listed = _list_rules(parse_yaml(claims, CLAIMS), parse_quoted(original, ORIGINAL))
    return {id: json.loads(text) for id, text in listed.items()}


def _list_rules(content: Mapping[str, Any], quoted: Mapping[str, Any]) -> dict[str, str]:
    """Claim -> what decides of its rule, as one text."""
    claims, protocols = (_mapping(content.get(name)) for name in ("claims", "protocols"))
    common = {name: content.get(name) for name in _COMMON}
    return {
        id: _spell(id, {**common, **item}, protocols, quoted)
        for id, item in claims.items()
        if isinstance(item, Mapping)  # what is none the report refuses by name; a run need not
    }


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _spell(id: str, item: Mapping[str, Any], protocols: Mapping[str, Any], quoted: Mapping[str, Any]) -> str:
    rule: dict[str, Any] = {name: value for name, value in item.items() if name not in EXPLAINING}
    try:
        rule["protocol"] = _mapping(protocols.get(item.get("protocol"))).get("settings")
        rule["quoted"] = {row: quoted.get(row) for row in item.get("quoted", ())}
        return json.dumps(rule, sort_keys=True, default=str)
    except TypeError as error:  # a list for a name, or names of several types
        raise ConfigurationError(f"{CLAIMS}: claims.{id}: this is no rule: {error}") from error


def parse_quoted(text: str, place: str) -> dict[str, dict[str, str]]:
    """Row -> the columns of original.csv that a rule looks at."""
    lines: Iterable[str] = (line for line in text.splitlines() if not line.startswith("#"))
    try:
        return {row.get("id", ""): {name: row.get(name) or "" for name in _QUOTED} for row in csv.DictReader(lines)}
    except csv.Error as error:
        raise ConfigurationError(f"{place}: this is no CSV: {error}") from error
