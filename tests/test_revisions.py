"""A revision as git holds it: its files, and what is said where there is none."""

import subprocess
from pathlib import Path

import pytest

from experiments.spec import ConfigurationError, MissingTool
from report.diffs.revisions import lay_out
from tests.small_claims import make_claims
from tests.small_git import commit, git
from tests.small_repository import edit


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The small repository: a first commit without claims, a second with them."""
    root = make_claims(tmp_path / "root")
    claims = root / "report/paper/claims.yaml"
    text = claims.read_text()
    claims.unlink()
    git(root, "init", "--quiet", "--initial-branch", "main")
    commit(root, "before the claims")
    claims.write_text(text)
    commit(root, "the claims")
    return root


def test_a_revision_is_laid_out_elsewhere_and_taken_away_again(root: Path) -> None:
    edit(root / "method/model.py", "2 * value", "3 * value")
    (root / "report/out").mkdir()
    with lay_out(root, "HEAD") as revision:
        assert (revision.name, revision.subject) == ("HEAD", "the claims")
        assert revision.commit == git(root, "rev-parse", "HEAD").strip()
        assert revision.date == "2026-01-01"
        assert "2 * value" in (revision.folder / "method/model.py").read_text()
        assert not revision.folder.is_relative_to(root)
    assert not revision.folder.exists()
    assert git(root, "status", "--porcelain") == " M method/model.py\n"


def test_a_link_out_of_the_repository_is_left_out(root: Path) -> None:
    (root / "data").symlink_to("/usr")
    (root / "again").symlink_to("method")
    commit(root, "with a link to a disk")
    with lay_out(root, "HEAD") as revision:
        assert not (revision.folder / "data").exists()
        assert (revision.folder / "again/model.py").is_file()


def test_a_paper_in_a_folder_of_a_larger_repository_has_its_own_files_only(tmp_path: Path) -> None:
    make_claims(tmp_path / "all" / "paper")
    (tmp_path / "all" / "other.txt").write_text("x")
    git(tmp_path / "all", "init", "--quiet")
    commit(tmp_path / "all", "both")
    with lay_out(tmp_path / "all" / "paper", "HEAD") as revision:
        assert sorted(path.name for path in revision.folder.iterdir()) == ["experiments", "method", "report"]


def test_a_paper_that_no_commit_has_yet_is_to_be_committed(tmp_path: Path) -> None:
    make_claims(tmp_path / "all" / "paper")
    (tmp_path / "all" / "other.txt").write_text("x")
    git(tmp_path / "all", "init", "--quiet")
    git(tmp_path / "all", "add", "other.txt")
    git(tmp_path / "all", "commit", "--quiet", "--message", "the other")
    with pytest.raises(ConfigurationError) as caught, lay_out(tmp_path / "all" / "paper", "HEAD"):
        pass
    assert str(caught.value) == (
        "diff: revision 'HEAD' has no experiments/plan.yaml; no revision has it: commit it first"
    )


@pytest.mark.parametrize("name", ["no-such-branch", "--output=x", "HEAD:method", ""])
def test_what_is_no_revision_is_refused(root: Path, name: str) -> None:
    with pytest.raises(ConfigurationError) as caught, lay_out(root, name):
        pass
    assert str(caught.value) == (
        f"diff: {name!r} is no revision that git knows here; expected a commit, branch or tag, such as HEAD~1 "
        "(a shallow clone has few: git fetch --unshallow)"
    )
    assert not (root / "x").exists()


def test_a_revision_from_before_the_claims_names_the_first_with_them(root: Path) -> None:
    first = git(root, "rev-parse", "--short", "HEAD").strip()
    with pytest.raises(ConfigurationError) as caught, lay_out(root, "HEAD~1"):
        pass
    assert str(caught.value) == (
        f"diff: revision 'HEAD~1' has no report/paper/claims.yaml; the first revision with it is {first}"
    )


def test_a_folder_without_git_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    with pytest.raises(ConfigurationError, match="diff needs a git repository with history"), lay_out(tmp_path, "HEAD"):
        pass


def test_without_git_itself_the_tool_is_missing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object, **__: object) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(MissingTool) as caught, lay_out(root, "HEAD"):
        pass
    assert str(caught.value) == "git cannot be run (No such file or directory); install git"
