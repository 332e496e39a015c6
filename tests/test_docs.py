"""The documentation builds, its commands, files and snippets are real, and its tutorial can be followed to the end."""

import re
import shlex
import shutil
from pathlib import Path

import pytest
import yaml

from experiments.plan import load_plan
from experiments.plan_file import _check_group
from report import figures
from report.arguments import parse
from report.figures import read_figures
from report.judge.claims import ClaimKind, read_claims
from report.listings import table_kinds
from report.listings.table_kinds import read_tables
from report.original import read_original
from report.pages.journal import faults, journal_fields
from report.pages.metadata import read_metadata
from report.recipes import read_recipes
from tests.example_repository import EXAMPLE, REPOSITORY, apply_diff, fenced, make_example, run
from tests.links import without_links

DOCS = REPOSITORY / "docs"
PAGES = sorted((DOCS / "pages").rglob("*.md"))
NAMED_FILE = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|md|yaml|yml|csv|sh|lua|bib|ipynb|json|html))`")
MADE = ("report/out/", "experiments/records/")  # by a build or a run; the tracked ones come and go


def test_it_builds_without_a_warning(tmp_path: Path) -> None:
    site = tmp_path / "site"
    done = run(REPOSITORY, "python", "-m", "mkdocs", "build", "--strict", "-f", "docs/mkdocs.yml", "-d", str(site))
    assert done.returncode == 0, done.stdout + done.stderr
    rules = (site / "reference/rules/index.html").read_text()
    assert "stale-record" in rules
    assert "Holds what" not in rules
    assert (site / "reference/modules/report.verdicts/index.html").is_file()


def test_what_pages_take_from_the_code_is_tracked_as_the_code_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(DOCS)
    from generate import fill

    pages = {page: page.read_text(encoding="utf-8") for page in PAGES}
    assert [str(page) for page, text in pages.items() if fill(text) != text] == [], "run `python docs/generate.py`"
    rules = pages[DOCS / "pages/reference/rules.md"]
    assert fill(rules.replace("| `stale-record` |", "| `old-record` |")) == rules
    with pytest.raises(KeyError):
        fill("<!-- generated: no-such-part -->")


def test_the_meaning_of_each_word_is_told_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(DOCS)
    from generate import words

    meanings = dict(re.findall(r"^\| `(\w+)\(.*\)` \| (.+) \|$", words(), re.MULTILINE))
    assert {"accuracy", "checklist", "environment"} <= meanings.keys()
    assert [meaning for meaning in meanings.values() if not meaning.endswith(".")] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_command_on_a_page_is_one(page: Path) -> None:
    text = page.read_text()
    for line in re.findall(r"^python build\.py[^\n]*|`python build\.py[^`\n]*`", text, re.MULTILINE):
        command = shlex.split(line.strip("`"))[2:]
        if command == ["--help"]:
            continue
        assert parse(command).verb, line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    named = [name for name in NAMED_FILE.findall(page.read_text()) if not name.startswith(MADE)]
    assert [
        name for name in named if not any((root / name).exists() for root in (REPOSITORY, REPOSITORY / EXAMPLE))
    ] == []


def snippet(page: str) -> dict:
    return yaml.safe_load(fenced(DOCS / "pages/how-to" / page, "yaml")[0][1])


def test_the_build_file_that_is_shown_whole_is_the_one_of_the_example() -> None:
    (content,) = (text for _, text in fenced(DOCS / "pages/another-paper.md", "python"))
    assert content == (REPOSITORY / EXAMPLE / "build.py").read_text(encoding="utf-8")


def test_the_snippets_are_taken_by_the_readers_of_their_files(tmp_path: Path) -> None:
    (name, group), *_ = snippet("run.md")["groups"].items()
    _check_group(group, name, "plan.yaml", {"notebook": "train.ipynb"})

    paper = tmp_path / "report/paper"
    paper.mkdir(parents=True)
    protocols = {"ours": {"title": "ours", "source": "ours", "settings": {}}}
    claims = {"version": 1, "alpha": 0.05, "min_seeds": 3, "protocols": protocols, **snippet("claim.md")}
    (paper / "claims.yaml").write_text(yaml.safe_dump(claims))
    assert list(read_claims(paper / "claims.yaml").claims) == ["wider-is-better"]

    (paper / "tables.yaml").write_text(yaml.safe_dump({"version": 1, "labels": {}, **snippet("table.md")}))
    assert read_tables(tmp_path)["widths"].kind == "effects"
    (paper / "figures.yaml").write_text(yaml.safe_dump({"version": 1, **snippet("figure.md")}))
    assert read_figures(paper / "figures.yaml")["widths"]["kind"] == "effect"


def test_the_examples_of_the_reference_are_taken_whole_and_have_every_kind(tmp_path: Path) -> None:
    paper = tmp_path / "report/paper"
    for folder in (paper, tmp_path / "experiments"):
        folder.mkdir(parents=True)
    shutil.copy(REPOSITORY / EXAMPLE / "experiments/train.ipynb", tmp_path / "experiments")
    for page in PAGES:
        for kind in ("yaml", "csv"):
            for title, content in fenced(page, kind):
                if title and page.parent.name == "reference":
                    (tmp_path / title).write_text(content, encoding="utf-8")

    plan = load_plan(tmp_path / "experiments/plan.yaml")
    assert {len(group.runs) for group in plan.groups.values()} == {9, 8}
    assert len(load_plan(plan.path, smoke=True).runs) == 4
    claims = read_claims(paper / "claims.yaml")
    assert {claim.kind for claim in claims.claims.values()} == set(ClaimKind)
    quoted = read_original(paper / "original.csv", plan.naming)
    assert {id for claim in claims.claims.values() for id in claim.quoted} <= quoted.keys()
    assert claims.formulas["parameters"].evaluate({"hidden": 64}) == 4810
    assert {table.kind for table in read_tables(tmp_path).values()} == set(table_kinds.KINDS)
    assert {figure["kind"] for figure in read_figures(paper / "figures.yaml").values()} == set(figures.KINDS)
    ((title, recipes),) = fenced(REPOSITORY / "docs/pages/reference/floats.md", "text")
    (tmp_path / title).write_text(recipes, encoding="utf-8")
    assert [setting.name for setting in read_recipes(tmp_path / title)] == ["learning_rate"]
    metadata = read_metadata(paper / "metadata.yaml")
    assert list(faults(metadata)) == []
    assert journal_fields(metadata)["code"]["url"] == "https://github.com/someone/something"


def test_badges_lead_to_a_repository_on_github_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(DOCS)
    from generate import badges_of

    made = badges_of("https://github.com/someone/something.git")
    assert "(https://colab.research.google.com/github/someone/something/blob/main/experiments/train.ipynb)" in made
    assert "(https://mybinder.org/v2/gh/someone/something/main?labpath=experiments%2Ftrain.ipynb)" in made
    for address in ("https://example.org/something", "https://github.com/someone", ""):
        assert f"`code: url` in `report/paper/metadata.yaml` is `{address}`" in badges_of(address)


def test_its_lock_has_the_versions_of_the_large_one_and_pins_every_file() -> None:
    small, large = ((REPOSITORY / name).read_text() for name in ("docs/requirements.lock", "requirements.lock"))
    pinned = re.findall(r"^[a-z0-9][\w.-]*==[^\s;]+", small, re.MULTILINE)
    assert {"mkdocs-material", "mkdocstrings-python", "jinja2"} <= {pin.partition("==")[0] for pin in pinned}
    assert [pin for pin in pinned if not re.search(rf"^{re.escape(pin)}[ ;\\]", large, re.MULTILINE)] == []
    assert all("--hash=sha256:" in entry for entry in re.split(r"\n(?=\S)", small.strip()))
    assert "://" not in small


def test_binder_installs_what_the_lock_says_on_a_python_that_the_project_runs_on() -> None:
    folder = REPOSITORY / ".binder"
    (named,) = re.findall(r"^-r (\S+)$", (folder / "requirements.txt").read_text(), re.MULTILINE)
    assert (folder / named).resolve() == REPOSITORY / "requirements.lock"
    major, minor = map(int, re.fullmatch(r"python-(\d+)\.(\d+)\n", (folder / "runtime.txt").read_text()).groups())
    assert (major, minor) >= (3, 11)


def test_the_tutorial_can_be_followed(tmp_path: Path) -> None:
    """Its edits and commands in their order: ten runs are planned, one is run, and the verdict waits for the rest."""
    paper = make_example(tmp_path)
    page = (DOCS / "pages/tutorial.md").read_text(encoding="utf-8")
    blocks = re.findall(r'^```(sh|diff)(?: title="([^"]*)")?\n(.*?)^```$', page, re.MULTILINE | re.DOTALL)
    said = []
    for kind, title, content in blocks:
        if kind == "diff":
            apply_diff(paper / title, content)
            continue
        for command in map(shlex.split, content.splitlines()):
            done = run(paper, *command)
            assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
            said.append(done.stdout)
    assert any("10 runs: 10 pending" in text for text in said)
    assert any("1 recorded, 0 failed, 0 not begun" in text for text in said)
    report = without_links((paper / "report/out/report.md").read_text())
    assert "three-quarters" in report and "has 1 of 10 runs" in report
