"""The workflows are valid and harmless on a stranger's pull request, and their steps do what they say."""

import json
import re
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import playwright
import pytest
import yaml

from report.arguments import make_parser
from tests.example_repository import EXAMPLE, REPOSITORY, apply_diff, make_example, run
from tests.small_git import commit, git

WORKFLOWS = sorted((REPOSITORY / ".github/workflows").glob("*.yml"))
ACTION = REPOSITORY / ".github/actions/check/action.yml"
PINNED = re.compile(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}")


def read(path: Path) -> dict[str, Any]:
    """A workflow; YAML 1.1 takes its word `on` for true."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return {"on" if name is True else name: value for name, value in content.items()}


def steps(path: Path) -> Iterator[dict[str, Any]]:
    content = read(path)
    if path == ACTION:
        yield from content["runs"]["steps"]
    for job in content.get("jobs", {}).values():
        yield from job["steps"]


@pytest.mark.parametrize(
    ("schema", "paths"), [("vendor.github-workflows", WORKFLOWS), ("vendor.github-actions", [ACTION])]
)
def test_they_are_what_the_schema_asks_for(schema: str, paths: list[Path]) -> None:
    done = run(REPOSITORY, "python", "-m", "check_jsonschema", "--builtin-schema", schema, *map(str, paths))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", [*WORKFLOWS, ACTION], ids=lambda path: path.name)
def test_every_action_is_pinned_to_a_commit_or_lies_here(path: Path) -> None:
    for used in (step["uses"] for step in steps(path) if "uses" in step):
        assert PINNED.fullmatch(used) or (used.startswith("./") and (REPOSITORY / used / "action.yml").is_file()), used


@pytest.mark.parametrize("path", [*WORKFLOWS, ACTION], ids=lambda path: path.name)
def test_no_script_is_built_from_what_a_stranger_can_write(path: Path) -> None:
    """A branch called `$(rm -rf .)` is a value of the environment, and never a part of a script."""
    scripts = [step[key] for step in steps(path) for key in ("run",) if key in step]
    scripts += [step["with"]["script"] for step in steps(path) if "script" in step.get("with", {})]
    assert [script for script in scripts if "${{" in script] == []


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_may_write_only_where_it_runs_nothing_of_a_pull_request(path: Path) -> None:
    content = read(path)
    assert "pull_request_target" not in content["on"]
    granted = dict(content["permissions"])
    for job in content["jobs"].values():
        granted |= job.get("permissions", {})
    writes = {name for name, access in granted.items() if access == "write"}
    if path.name == "comment.yml":
        assert writes == {"pull-requests"}
        assert not [step for step in steps(path) if "run" in step or "checkout" in step.get("uses", "")]
    elif "pull_request" in content["on"]:
        assert content["permissions"] == {"contents": "read"}
        guarded = [job for job in content["jobs"].values() if "permissions" in job]
        assert all(job["if"] == "github.ref == 'refs/heads/main'" for job in guarded)
    for step in steps(path):
        if "checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False


def test_only_the_release_may_write_contents() -> None:
    found = {path.name: read(path)["jobs"] for path in WORKFLOWS}
    writing = [
        name
        for name, jobs in found.items()
        for job in jobs.values()
        if job.get("permissions", {}).get("contents") == "write"
    ]
    assert writing == ["release.yml"]
    assert read(REPOSITORY / ".github/workflows/release.yml")["on"] == {"push": {"tags": ["v*"]}}


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_every_command_and_file_that_a_step_names_is_there(path: Path) -> None:
    for step in steps(path):
        folder = REPOSITORY / step.get("working-directory", ".")
        script = step.get("run", "")
        for verb in re.findall(r"python build\.py (\w+)", script):
            assert verb in make_parser()[1]
            assert (folder / "build.py").is_file()
        for named in re.findall(r"(?:-r|-f) (\S+)", script):
            assert (folder / named).is_file(), named


HARNESS = """
import { createRequire } from 'module'
const require = createRequire(import.meta.url)
const { pulls, comments, files } = JSON.parse(process.argv[2])
const done = []
const issues = {
  listComments: () => comments,
  createComment: given => done.push(['create', given]),
  updateComment: given => done.push(['update', given]),
}
const github = { paginate: async (ask, given) => ask(given), rest: { pulls: { list: () => pulls, listFiles: () => files }, issues } }
const run = {
  head_repository: { owner: { login: 'stranger' } }, head_branch: 'main', head_sha: 'abc', conclusion: 'success',
  html_url: 'https://example.org/run',
}
const context = { repo: { owner: 'us', repo: 'paper' }, payload: { workflow_run: run } }
const core = { notice: text => done.push(['notice', text]) }
await (async () => { SCRIPT })()
console.log(JSON.stringify(done))
"""
NODE = Path(playwright.__file__).parent / "driver" / "node"  # which the tests' lock brings; the machine may have none
MARK = "<!-- what this pull request changes in meaning -->"


@pytest.mark.parametrize(
    ("pulls", "comments", "expected"),
    [
        ([{"head": {"sha": "abc"}, "number": 7}], [], ("create", {"issue_number": 7})),
        (
            [{"head": {"sha": "old"}, "number": 6}, {"head": {"sha": "abc"}, "number": 7}],
            [
                {"id": 0, "user": None, "body": MARK},
                {"id": 1, "user": {"type": "User"}, "body": MARK},
                {"id": 2, "user": {"type": "Bot"}, "body": MARK},
            ],
            ("update", {"comment_id": 2}),
        ),
    ],
)
def test_the_comment_is_written_once_and_calls_nobody(
    tmp_path: Path, pulls: list[Any], comments: list[Any], expected: tuple[str, dict[str, int]]
) -> None:
    ((how, given),) = comment(tmp_path, pulls, comments)
    body = given.pop("body")
    assert (how, given) == (expected[0], {"owner": "us", "repo": "paper", **expected[1]})
    assert body.startswith(
        f"{MARK}\nThe check holds, at abc. [Its log](https://example.org/run)\n\n# Changed, @\u200beverybody"
    )
    assert len(body) < 65_536


def test_a_commit_of_no_open_pull_request_gets_no_comment(tmp_path: Path) -> None:
    done = comment(tmp_path, [{"head": {"sha": "newer"}, "number": 7}], [])
    assert done == [["notice", "no open pull request has this commit any more"]]


def test_a_pull_request_whose_repository_was_deleted_gets_no_comment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = HARNESS.replace("head_repository: { owner: { login: 'stranger' } }", "head_repository: null")
    monkeypatch.setattr("tests.test_workflows.HARNESS", gone)
    assert comment(tmp_path, [], []) == [["notice", "the repository of the pull request is gone"]]


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["report/checks.py"], "(`report/checks.py`)"),
        (
            ["examples/dropout/templates/html/verdict.html", ".gitignore"],
            "(`examples/dropout/templates/html/verdict.html`, `.gitignore`)",
        ),
        (
            ["report/__pycache__/checks.cpython-311.pyc", ".cache/jinja/a"],
            "(`report/__pycache__/checks.cpython-311.pyc`, `.cache/jinja/a`)",
        ),
        ([".github/workflows/check.yml", "experiments/records/a.json"], "(`.github/workflows/check.yml`)"),
        (["a`@all<b>.py"], "(`a??all?b?.py`)"),
        (
            [f"report/{i}.py" for i in range(7)],
            "(`report/0.py`, `report/1.py`, `report/2.py`, `report/3.py`, `report/4.py` and 2 more)",
        ),
        (["a.md"] * 3000, "(it has more files than GitHub lists)"),
    ],
)
def test_the_comment_tells_where_a_pull_request_changes_the_code_that_checks_it(
    tmp_path: Path, names: list[str], told: str
) -> None:
    files = [{"filename": name} for name in names]
    ((_, given),) = comment(tmp_path, [{"head": {"sha": "abc"}, "number": 7}], [], files)
    assert (
        f"\n\n**It changes what checks it** {told}: till that is read, all of this is its own word.\n\n# Changed"
        in given["body"]
    )


def test_a_renamed_check_is_told_and_a_sign_that_is_spelt_otherwise_calls_nobody(tmp_path: Path) -> None:
    files = [{"filename": "report/paper/sections/checks.md", "previous_filename": "report/checks.py"}]
    text = "&#64;everybody &#x0040;everybody &commat;everybody"
    ((_, given),) = comment(tmp_path, [{"head": {"sha": "abc"}, "number": 7}], [], files, text)
    assert "(`report/checks.py`)" in given["body"]
    assert given["body"].endswith("@\u200beverybody @\u200beverybody @\u200beverybody")


def comment(
    folder: Path,
    pulls: list[Any],
    comments: list[Any],
    files: Sequence[Any] = ({"filename": "experiments/records/a.json"}, {"filename": "report/paper/claims.yaml"}),
    text: str = "# Changed, @everybody\n" + "@long " * 20_000,
) -> list[Any]:
    """What the comment's script asks GitHub for, given pull requests, their comments and files, and what the check told."""
    found = steps(REPOSITORY / ".github/workflows/comment.yml")
    (script,) = (step["with"]["script"] for step in found if "script" in step["with"])
    (folder / "changes").mkdir()
    (folder / "changes/changes.md").write_text(text)
    path = folder / "script.mjs"
    path.write_text(HARNESS.replace("SCRIPT", script))
    given = json.dumps({"pulls": pulls, "comments": comments, "files": files})
    done = subprocess.run([NODE, path, given], cwd=folder, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The example in a repository with one commit, then changed: its report was not built again."""
    paper = make_example(tmp_path_factory.mktemp("repository"))
    repository = paper.parents[len(EXAMPLE.parts) - 1]
    git(repository, "init", "--quiet", "--initial-branch=main")
    commit(repository, "a state")
    return paper


SCRIPT = ("bash", "../../.github/actions/check/check.sh")


def test_the_check_by_hand_holds_and_tells_that_nothing_has_changed(paper: Path, tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    done = run(paper, *SCRIPT, "HEAD", str(tmp_path / "changes.md"), GITHUB_STEP_SUMMARY=str(summary))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "changed in meaning" in (tmp_path / "changes.md").read_text()
    assert summary.read_text() == (tmp_path / "changes.md").read_text()


def test_the_check_by_hand_fails_and_still_tells_what_has_changed(paper: Path, tmp_path: Path) -> None:
    apply_diff(
        paper / "report/paper/claims.yaml",
        "     reference: {dropout: 0.5}\n-    margin: 0.005\n+    margin: 0.02\n",
    )
    done = run(paper, *SCRIPT, "HEAD", str(tmp_path / "changes.md"))
    assert done.returncode == 3, done.stdout + done.stderr
    assert "output-differs" in done.stdout
    assert "quarter-as-good" in (tmp_path / "changes.md").read_text()


def test_a_comparison_with_no_revision_fails(paper: Path, tmp_path: Path) -> None:
    done = run(paper, *SCRIPT, "nowhere", str(tmp_path / "changes.md"))
    assert done.returncode == 2
    assert "'nowhere' is no revision that git knows here" in done.stderr
