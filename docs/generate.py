"""What the documentation takes from the code, as Markdown, so that nothing is written twice: see `PARTS`.

`python docs/generate.py` puts each part between its marks in the pages, where git tracks it: so they can be read
without building anything. It needs the light install only. A test holds that the pages are as the code has them.
"""

import argparse
import ast
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import build
from experiments import plan_file, record_fields, spec
from report import context, figures, options, original, verdicts
from report.arguments import make_parser
from report.checking import findings
from report.judge import claims, trials
from report.listings.table_kinds import KINDS
from report.pages.front import flat
from report.pages.vocabulary import Vocabulary

PAGES = ROOT / "docs" / "pages"
EXAMPLE = ROOT / "examples" / "dropout"
PACKAGES = ("experiments", "report", "convmixer")
_SHOWN = 2  # values of a long list
# A part with its arguments, and its text up to the end mark; a mark that was just written has neither yet.
_MARK = re.compile(r"<!-- generated: ([^>]+?) -->(?:(?:(?!<!-- generated: ).)*?<!-- end -->)?", re.DOTALL)


def fill(page: str) -> str:
    """PAGE with each part as the code has it now. Raises KeyError for a part that does not exist."""

    def put(found: re.Match[str]) -> str:
        name, *arguments = found[1].split()
        text = PARTS[name](*arguments).strip("\n")
        gap = "\n\n" if "\n" in text else ""  # a table or a listing stands apart, a list of words in its sentence
        return f"<!-- generated: {found[1]} -->{gap}{text}{gap}<!-- end -->"

    return _MARK.sub(put, page)


def commands() -> str:
    """Each command with its arguments, as `--help` has them; laid out here, for Python's own layout changes."""
    parts = []
    for verb, command in make_parser()[1].items():
        rows = [_describe(action) for action in command.arguments if action.dest != "help"]
        table = f"\n{_table(('argument', 'means'), rows)}" if rows else ""
        epilog = f"\n{command.epilog}\n" if command.epilog else ""
        parts.append(f"## `build.py {verb}`\n\n{command.description}\n{table}{epilog}")
    return "\n".join(parts)


def _describe(action: argparse.Action) -> tuple[str, str]:
    """An argument as it is written, and its help."""
    value = action.metavar or ("|".join(action.choices) if action.choices else action.dest.upper())
    names = [f"{name} {value}" if action.nargs != 0 else name for name in action.option_strings] or [str(value)]
    return ", ".join(f"`{name}`" for name in names), action.help or ""


def exit_codes() -> str:
    """Each exit code with the errors that end in it, by their docstrings."""
    meanings: dict[int, list[str]] = {0: ["All is good."]}
    for error in _descendants(spec.ReproductionError):
        meanings.setdefault(error.exit_code, []).append(f"{_summary(error)} (`{error.__name__}`)")
    meanings[build.INTERRUPTED] = ["Interrupted; what was done is kept, and the next run goes on from there."]
    return _table(("code", "means"), ((str(code), "<br>".join(meanings[code])) for code in sorted(meanings)))


def rules() -> str:
    """Every rule of `build.py check`."""
    rows = ((f"`{id}`", findings.severity_of(id), rule.what, rule.fix) for id, rule in findings.RULES.items())
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
        (
            f"`{name}`",
            _listed(f"{field}: {_types(kind)}" for field, kind in fields.items()),
            _listed(plan_file.REQUIRED.get(name, ())),
        )
        for name, fields in sections.items()
    )
    return _table(("section", "fields", "must have"), rows)


def states() -> str:
    """What a run or a cell can be."""
    return _listed(state.value for state in spec.State)


def devices() -> str:
    """What `needs` and `speed` of a plan may name."""
    return _listed(plan_file.DEVICE_CLASSES)


def orders() -> str:
    """What `order` of a trend may be."""
    return " or ".join(f"`{order}`" for order in claims.ORDERS)


def roles() -> str:
    """What a box of a diagram may be."""
    return _listed(options._ROLES)


def claim_fields() -> str:
    """The fields that every claim has, and those that it may have."""
    fields = f"Each has {_listed(sorted(claims._ALWAYS))}. It may have {_listed(sorted(claims._SOMETIMES))}."
    return f"{fields} Its `certainty` is one of {_listed(claims.CERTAINTIES)}."


def claim_kinds() -> str:
    """The kinds of claim with the fields that each needs, and their rules by docstring."""
    rows = (
        (
            f"`{kind}`",
            _summary(verdicts._RULES.get(kind, verdicts.judge_compound)),
            _listed(sorted(claims._NEEDED[kind])),
            _listed(sorted(claims._POSSIBLE.get(kind, ()))),
        )
        for kind in claims.ClaimKind
    )
    return _table(("kind", "says", "needs, beside the common fields", "may have"), rows)


def outcomes() -> str:
    """The words for the outcome of a claim."""
    return _listed(outcome.value for outcome in trials.Outcome)


def words() -> str:
    """What prose may call, by signature and docstring."""
    found = [
        (name, getattr(Vocabulary, name)) for name in vars(Vocabulary) if not name.startswith("_") and name != "words"
    ]
    return _table(("word", "gives"), ((f"`{name}{_signature(word)}`", _summary(word)) for name, word in found))


def attributes(name: str) -> str:
    """What prose may ask of a thing that a word gives: its fields, and its properties with what they say."""
    thing = _find(name)
    asked = {key: one for key, one in vars(thing).items() if isinstance(one, (property, cached_property))}
    said = {key: _summary(one) for key, one in asked.items() if not key.startswith("_")}
    rows = [("its fields", _listed(thing.__annotations__)), *((f"`{key}`", text) for key, text in said.items())]
    return f"{inspect.getdoc(thing)}\n\n{_table(('attribute', 'is'), rows)}"


def counts() -> str:
    """What `count` may be asked for, by the example."""
    counted = Vocabulary(context.build_context(EXAMPLE).facts)
    return _listed([*counted._run_counts(None), *counted._claim_counts(None)])


def measures() -> str:
    """What `measure` may be asked for: what a notebook hands over, and the costs that every record has."""
    content = json.loads(min((EXAMPLE / "experiments" / "records").glob("*.json")).read_text(encoding="utf-8"))
    return f"{_listed(content['metrics'])}, and of the cost {_listed(content['cost'])}"


def quoted_columns() -> str:
    """The columns of original.csv in their order."""
    return _listed(original.CSV_COLUMNS)


def prefixes() -> str:
    """What may stand before a quoted number."""
    return " or ".join(f"`{prefix}`" for prefix in original.PREFIXES if prefix)


def table_kinds() -> str:
    """The kinds of table with the fields of their own."""
    rows = ((f"`{kind}`", _summary(make), _listed(sorted(fields))) for kind, (make, fields) in KINDS.items())
    return _table(("kind", "holds", "fields beside kind, title and note"), rows)


def figure_kinds() -> str:
    """The kinds of figure with the fields of their own."""
    rows = ((f"`{kind}`", _summary(make), _listed(sorted(fields))) for kind, (make, fields) in figures.KINDS.items())
    return _table(("kind", "shows", "fields beside kind, title and note"), rows)


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
    """The page that links to those of all modules, by package."""
    about = (
        "From the docstrings. Imports go one way: `build.py`, `report`, `experiments`, the method, here `convmixer`."
    )
    parts = [f"# Modules\n\n{about}\n"]
    for package in PACKAGES:
        links = (f"[`{name}`](modules/{name}.md)" for name in modules(package))
        parts.append(f"## {package}\n\n{' · '.join(links)}\n")
    return "\n".join(parts)


def outline(name: str) -> str:
    """A function or class of the code by its full name: its signature, fields and docstrings, as they stand there."""
    module, _, member = name.rpartition(".")
    text = (ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
    (found,) = (node for node in ast.parse(text).body if getattr(node, "name", None) == member)
    return "```python\n" + "\n".join(_outline(found, text.splitlines())) + "\n```\n"


def _outline(node: ast.AST, lines: list[str]) -> Iterator[str]:
    if isinstance(node, ast.AnnAssign):
        yield from lines[node.lineno - 1 : node.end_lineno]
    if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
        return
    if isinstance(node, ast.FunctionDef) and node.col_offset:
        yield ""
    first = min([node, *node.decorator_list], key=lambda one: one.lineno)
    yield from lines[first.lineno - 1 : node.body[0].end_lineno]  # up to the end of the docstring
    if isinstance(node, ast.ClassDef):
        for before, member in zip([None, *node.body], node.body, strict=False):
            if isinstance(member, ast.AnnAssign) and not isinstance(before, ast.AnnAssign):
                yield ""
            yield from _outline(member, lines)


def modules(package: str) -> list[str]:
    """The modules of a package of this repository by their full names."""
    paths = (
        path.relative_to(ROOT).with_suffix("") for path in (ROOT / package).rglob("*.py") if path.stem != "__init__"
    )
    return sorted(".".join(path.parts) for path in paths)


PARTS: Mapping[str, Callable[..., str]] = {
    "commands": commands,
    "exit-codes": exit_codes,
    "rules": rules,
    "record": record,
    "record-fields": record_checks,
    "plan-fields": plan_fields,
    "claim-fields": claim_fields,
    "claim-kinds": claim_kinds,
    "states": states,
    "devices": devices,
    "orders": orders,
    "roles": roles,
    "outcomes": outcomes,
    "words": words,
    "counts": counts,
    "measures": measures,
    "attributes": attributes,
    "quoted-columns": quoted_columns,
    "prefixes": prefixes,
    "table-kinds": table_kinds,
    "figure-kinds": figure_kinds,
    "schemas": schemas,
    "badges": badges,
    "outline": outline,
}


def _find(name: str) -> Any:
    """The class or function of this full name, of a module that is imported here."""
    module, _, member = name.rpartition(".")
    return getattr(sys.modules[module], member)


def _descendants(error: type[spec.ReproductionError]) -> list[type[spec.ReproductionError]]:
    """The errors derived from ERROR in the module that defines it, which hold the documented codes."""
    return [
        kind for kind in vars(spec).values() if inspect.isclass(kind) and issubclass(kind, error) and kind is not error
    ]


def _summary(thing: Any) -> str:
    """The first paragraph of a docstring."""
    return " ".join((inspect.getdoc(thing) or "").partition("\n\n")[0].split())


def _signature(word: Callable[..., Any]) -> str:
    """The arguments as one writes them: names and defaults, without self, types and what may not be named."""
    parameters = list(inspect.signature(word).parameters.values())[1:]
    bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in parameters]
    return str(inspect.Signature(bare)).replace(", /", "")


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


if __name__ == "__main__":
    for path in sorted(PAGES.rglob("*.md")):
        text = path.read_text(encoding="utf-8")
        if (filled := fill(text)) != text:
            path.write_text(filled, encoding="utf-8")
            print(path.relative_to(ROOT).as_posix())
