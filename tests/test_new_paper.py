"""`build.py new` lays out a paper that builds at once, is run in seconds, and then holds to every rule."""

import re
from pathlib import Path

import pytest

from experiments.spec import ConfigurationError
from report.new_paper import lay_out
from tests.example_repository import REPOSITORY, run
from tests.links import without_links
from tests.processes import CAN_MOUNT, UNSHARE, finish, start_build
from tests.small_git import commit, git

RUNS = 6


def test_a_new_paper_builds_without_a_run_and_holds_to_every_rule_with_them(tmp_path: Path) -> None:
    done = run(tmp_path, "python", str(REPOSITORY / "build.py"), "new", "papers/mine")
    assert done.returncode == 0, done.stderr
    assert done.stdout == (
        "papers/mine: a paper of six short runs; next:\n  cd papers/mine\n  python build.py\n"
        "  git init && git add --all && git commit --message 'A new paper'\n"
        "  python build.py run\n  python build.py\n  python build.py check\n"
    )
    paper = tmp_path / "papers/mine"
    git(paper, "init", "--quiet")
    commit(paper, "as it was laid out")

    done = run(paper, "python", "build.py")
    assert done.returncode == 0, done.stderr
    assert f"width: {RUNS} runs to come" in done.stdout
    told = "everything holds; --strict tells what a finished report lacks: "
    check = run(paper, "python", "build.py", "check").stdout
    assert check == f"{told}value-pending, claim-untested, title-prefix, metadata-example\n"

    done = run(paper, "python", "build.py", "run", "-j", "2")
    assert done.returncode == 0, done.stderr
    assert f"{RUNS} recorded, 0 failed, 0 not begun" in done.stdout
    assert "warning" not in done.stderr
    assert run(paper, "python", "build.py").stdout == "report/out: 30 files; every planned run is recorded\n"
    check = run(paper, "python", "build.py", "check").stdout
    assert check == f"{told}title-prefix, metadata-example\n"
    report = without_links((paper / "report/out/report.md").read_text(encoding="utf-8"))
    assert "Claims and verdicts. Beyond the paper 1 shown." in report
    assert "| wider-is-better | – |" in report and "| shown | – |" in report
    strict = run(paper, "python", "build.py", "check", "--strict").stdout
    expected = {"metadata-example", "title-prefix"}  # what only its authors can fill in; its claim is no original's
    assert (
        expected <= set(re.findall(r"^(?:error|warning) (\S+):", strict, re.MULTILINE)) <= expected | {"tex-unchecked"}
    )


@pytest.mark.skipif(not CAN_MOUNT, reason="no private mounts here: a cache that is read-only is not tried")
def test_a_cache_that_cannot_be_written_costs_time_and_nothing_else(tmp_path: Path) -> None:
    """As where a container has made it."""
    paper = tmp_path / "paper"
    lay_out(paper)
    cache = paper / ".cache"
    cache.mkdir()
    script = f'mount --bind {cache} {cache} && mount -o remount,ro,bind {cache} && exec "$@"'
    code, _, errors = finish(start_build(paper, prefix=[*UNSHARE, "sh", "-c", script, "sh"]))
    assert (code, errors) == (0, "")
    assert (paper / "report/out/report.pdf").is_file() and list(cache.iterdir()) == []


def test_its_notebook_runs_by_hand_as_it_says_itself(tmp_path: Path) -> None:
    paper = tmp_path / "paper"
    lay_out(paper)
    notebook = (paper / "experiments/train.ipynb").read_text(encoding="utf-8")
    page = (REPOSITORY / "docs/pages/another-paper.md").read_text(encoding="utf-8")
    assert "`PYTHONPATH=MACHINERY:$PWD jupyter lab`" in notebook
    (command,) = re.findall("`PYTHONPATH=MACHINERY:[$]PWD (python -m papermill [^`]*)`", page)
    found = {"PYTHONPATH": f"{REPOSITORY}:{paper}"}
    done = run(paper, *command.split(), "-p", "epochs", "1", **found)
    assert done.returncode == 0, done.stderr
    assert "application/vnd" in (paper / "trained.ipynb").read_text(encoding="utf-8")


def test_a_new_paper_has_the_same_bytes_in_a_checkout_with_other_ends_of_lines(tmp_path: Path) -> None:
    lay_out(tmp_path / "paper")
    git(tmp_path / "paper", "init", "--quiet")
    commit(tmp_path / "paper", "as it was laid out")
    git(tmp_path, "clone", "--quiet", "-c", "core.autocrlf=true", "paper", "clone")
    for name in ("experiments/plan.yaml", "CITATION.cff", "experiments/train.ipynb"):
        assert (tmp_path / "clone" / name).read_bytes() == (tmp_path / "paper" / name).read_bytes()


def test_what_to_do_next_is_said_as_a_shell_takes_it_and_a_repository_that_is_there_is_not_made_again(
    tmp_path: Path,
) -> None:
    git(tmp_path, "init", "--quiet")  # with no commit yet, as where the machinery has just been added as a submodule
    _, change, *steps = lay_out(tmp_path / "a paper").splitlines()
    assert change.startswith("  cd '") and change.endswith("a paper'")
    steps = [step.strip() for step in steps]
    assert steps[1] == "git add . && git commit --message 'A new paper'"
    assert steps[:1] + steps[2:] == [f"python build.py{verb}" for verb in ("", " run", "", " check")]
    commit(tmp_path, "begun")
    assert lay_out(tmp_path / "another").splitlines()[3].strip() == steps[1]


def test_a_new_paper_overwrites_nothing(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full/notes.txt").write_text("mine", encoding="utf-8")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    for name in ("full", "full/notes.txt", "link"):
        with pytest.raises(ConfigurationError) as caught:
            lay_out(tmp_path / name)
        assert str(caught.value) == (
            f"new: {str(tmp_path / name)!r} is there and not an empty folder; name another one"
        )
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["notes.txt"]
    lay_out(tmp_path / "empty")
    assert (tmp_path / "empty/report/paper/claims.yaml").is_file()


def test_a_new_paper_without_its_machinery_says_what_it_misses(tmp_path: Path) -> None:
    lay_out(tmp_path / "paper")
    script = tmp_path / "paper/build.py"
    text = script.read_text(encoding="utf-8")
    assert "@MACHINERY@" not in text
    script.write_text(re.sub('PAPER / ".*"', 'PAPER / "nowhere"', text), encoding="utf-8")
    done = run(tmp_path / "paper", "python", "build.py")
    assert done.returncode == 1
    assert done.stderr.startswith("error: ") and "the machinery is not there; let MACHINERY in build.py" in done.stderr
    assert "Traceback" not in done.stderr
