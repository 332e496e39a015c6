"""What the documentation takes from the code, as Markdown, so that nothing is written twice: see `PARTS`."""

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

import build
from experiments import plan_file, record_fields, spec
from report import claims, context, figures, findings, verdicts
from report.front import flat
from report.vocabulary import Vocabulary

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "examples" / "dropout"
PACKAGES = ("experiments", "report", "convmixer")
_SHOWN = 2  # values of a long list


def commands() -> str:
    """What `--help` prints, of the command line and of each command."""
    texts = [("build.py", _help()), *((f"build.py {verb}", _help(verb)) for verb in build.VERBS)]
    return "\n".join(f"## `{title}`\n\n```text\n{text}```\n" for title, text in texts)


def exit_codes() -> str:
    """Each exit code with the errors that end in it, by their docstrings."""
    meanings: dict[int, list[str]] = {0: ["All is good."]}
    for error in _descendants(spec.ReproductionError):
        meanings.setdefault(error.exit_code, []).append(f"{_summary(error)} (`{error.__name__}`)")
    meanings[build.INTERRUPTED] = ["Interrupted; what was done is kept, and the next run goes on from there."]
    return _table(("code", "means"), ((str(code), "<br>".join(meanings[code])) for code in sorted(meanings)))


def rules() -> str:
    """Every rule of `build.py check`."""
    rows = ((f"`{id}`", rule.severity, rule.what, rule.fix) for id, rule in findings.RULES.items())
    return _table(("id", "", "what holds", "what to do where it does not"), rows)


def record() -> str:
    """A record of the example, long lists shortened."""
    path = min((EXAMPLE / "experiments" / "records").glob("*.json"))
    shown = json.dumps(_shorten(json.loads(path.read_text(encoding="utf-8"))), indent=2, ensure_ascii=False)
    return f"`{path.relative_to(ROOT).as_posix()}`, long lists and texts shortened:\n\n```json\n{shown}\n```\n"


def record_checks() -> str:
    """The fields of a record in their order, as its checks have them."""
    return ", ".join(f"`{name}`" for name in ("schema", *record_fields.CHECKS, "digest"))


def plan_fields() -> str:
    """The fields of plan.yaml, section by section, with their types."""
    sections = {
        "the file": plan_file._TOP,
        "groups: NAME": plan_file._GROUP,
        "variant: PARAMETER": plan_file._VARIANT,
        "work": plan_file._WORK,
        "defaults": plan_file._DEFAULTS,
        "resources": plan_file._RESOURCES,
        "smoke": plan_file._SMOKE,
    }
    rows = (
        (f"`{name}`", _listed(f"{field}: {_types(kind)}" for field, kind in fields.items()))
        for name, fields in sections.items()
    )
    return _table(("section", "fields"), rows)


def claim_fields() -> str:
    """The fields that every claim has, and those that it may have."""
    fields = f"Each has {_listed(sorted(claims._ALWAYS))}. It may have {_listed(sorted(claims._SOMETIMES))}."
    return f"{fields} Its `certainty` is one of {_listed(claims.CERTAINTIES)}."


def claim_kinds() -> str:
    """The kinds of claim with the fields that each needs, and their rules by docstring."""
    rows = (
        (
            f"`{kind}`",
            _summary(verdicts._RULES[kind]) if kind in verdicts._RULES else "",
            _listed(sorted(claims._NEEDED[kind])),
        )
        for kind in claims.ClaimKind
    )
    return _table(("kind", "says", "needs, beside the common fields"), rows)


def outcomes() -> str:
    """The words for the outcome of a claim."""
    return _listed(outcome.value for outcome in verdicts.Outcome)


def words() -> str:
    """What prose may call, by signature and docstring."""
    found = [
        (name, getattr(Vocabulary, name)) for name in vars(Vocabulary) if not name.startswith("_") and name != "words"
    ]
    return _table(("word", "gives"), ((f"`{name}{_signature(word)}`", _summary(word)) for name, word in found))


def table_kinds() -> str:
    """The kinds of table with the fields of their own."""
    rows = ((f"`{kind}`", _summary(make), _listed(sorted(fields))) for kind, (make, fields) in context._KINDS.items())
    return _table(("kind", "holds", "fields beside kind, title and note"), rows)


def figure_kinds() -> str:
    """The kinds of figure with the fields of their own."""
    rows = ((f"`{kind}`", _listed(sorted(fields))) for kind, fields in figures._OPTIONS.items())
    return _table(("kind", "fields beside kind, title and note"), rows)


def schemas() -> str:
    """The published schemas: what each describes."""
    found = {
        path: json.loads(path.read_text(encoding="utf-8")) for path in sorted((ROOT / "report/schemas").glob("*.json"))
    }
    rows = (
        (f"`{path.relative_to(ROOT).as_posix()}`", content["title"], content["description"])
        for path, content in found.items()
    )
    return _table(("file", "describes", ""), rows)


def badges() -> str:
    """Badges that open the notebook elsewhere, from the repository's address in metadata.yaml; else what is missing."""
    metadata = yaml.safe_load((ROOT / "report/paper/metadata.yaml").read_text(encoding="utf-8"))
    return badges_of(str(flat(metadata, "code").get("url", "")))


def badges_of(address: str) -> str:
    """The badges for a repository on GitHub at ADDRESS; for any other one a sentence that says what they wait for."""
    repository = address.removesuffix("/").removesuffix(".git").partition("https://github.com/")[2]
    if repository.count("/") != 1:
        return (
            f"!!! note\n    There is no badge yet: `code: url` in `report/paper/metadata.yaml` is `{address}`, and "
            "Colab and Binder open repositories on GitHub. Put its address there, and the badges stand here."
        )
    colab = f"https://colab.research.google.com/github/{repository}/blob/main/experiments/train.ipynb"
    binder = f"https://mybinder.org/v2/gh/{repository}/main?labpath=experiments%2Ftrain.ipynb"
    return (
        f"[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]({colab})\n"
        f"[![Open in Binder](https://mybinder.org/badge_logo.svg)]({binder})"
    )


def module_list() -> str:
    """Links to the pages of all modules, by package."""
    parts = []
    for package in PACKAGES:
        links = (f"[`{name}`](modules/{name}.md)" for name in modules(package))
        parts.append(f"## {package}\n\n{' · '.join(links)}\n")
    return "\n".join(parts)


def modules(package: str) -> list[str]:
    """The modules of a package of this repository by their full names."""
    paths = (
        path.relative_to(ROOT).with_suffix("") for path in (ROOT / package).rglob("*.py") if path.stem != "__init__"
    )
    return sorted(".".join(path.parts) for path in paths)


PARTS: Mapping[str, Callable[[], str]] = {
    "commands": commands,
    "exit-codes": exit_codes,
    "rules": rules,
    "record": record,
    "record-fields": record_checks,
    "plan-fields": plan_fields,
    "claim-fields": claim_fields,
    "claim-kinds": claim_kinds,
    "outcomes": outcomes,
    "words": words,
    "table-kinds": table_kinds,
    "figure-kinds": figure_kinds,
    "schemas": schemas,
    "badges": badges,
    "modules": module_list,
}


def _help(*verb: str) -> str:
    command = [sys.executable, str(ROOT / "build.py"), *verb, "--help"]
    environment = {**os.environ, "COLUMNS": "100", "NO_COLOR": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=True, env=environment).stdout


def _descendants(error: type[spec.ReproductionError]) -> list[type[spec.ReproductionError]]:
    """The errors derived from ERROR in the module that defines it, which hold the documented codes."""
    return [
        kind for kind in vars(spec).values() if inspect.isclass(kind) and issubclass(kind, error) and kind is not error
    ]


def _summary(thing: Any) -> str:
    """The first sentence or line of a docstring."""
    return (inspect.getdoc(thing) or "").partition("\n")[0].strip()


def _signature(word: Callable[..., Any]) -> str:
    """The arguments as one writes them: names and defaults, without self and types."""
    parameters = list(inspect.signature(word).parameters.values())[1:]
    bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters]
    return str(inspect.Signature(bare))


def _types(kind: type | tuple[type, ...]) -> str:
    return " or ".join(each.__name__ for each in (kind if isinstance(kind, tuple) else (kind,)))


def _shorten(value: Any) -> Any:
    """VALUE with long lists and long texts cut."""
    if isinstance(value, dict):
        return {name: _shorten(item) for name, item in value.items()}
    if isinstance(value, list) and len(value) > _SHOWN + 1:
        return [*value[:_SHOWN], f"… {len(value)} in all"]
    return value[:48] + "…" if isinstance(value, str) and len(value) > 66 else value


def _listed(items: Iterable[str]) -> str:
    return ", ".join(f"`{item}`" for item in items)


def _table(header: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A table of Markdown; a bar within a cell is escaped."""
    lines = [header, ("---",) * len(header), *(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
