"""Git's answers: something, nothing, and that it cannot tell."""

import subprocess
from pathlib import Path

import pytest

from experiments.files import write_atomically
from experiments.git import GitFailed, list_changed, list_untracked, read_blobs, read_commit, read_head, run_git
from experiments.ledger import Ledger
from experiments.schema import RecordFault
from tests.small_git import commit, git
from tests.small_repository import make_record, make_repository, open_repository


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with one file in one commit."""
    write_atomically(tmp_path / "root/a.txt", "text")
    git(tmp_path / "root", "init", "--quiet")
    commit(tmp_path / "root", "a file")
    return tmp_path / "root"


def test_without_a_repository_or_the_folder_there_is_nothing(tmp_path: Path) -> None:
    assert run_git(tmp_path, "ls-files") is None
    assert run_git(tmp_path / "nowhere", "ls-files") is None
    assert (read_head(tmp_path), read_blobs(tmp_path, ["0" * 40])) == (None, {})


def test_a_repository_without_commits_has_none(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    assert (read_head(tmp_path), read_commit(tmp_path)) == (None, (None, None))


def test_what_is_not_there_is_nothing_and_the_rest_is_read(root: Path) -> None:
    assert run_git(root, "rev-parse", "--verify", "--quiet", "HEAD:./b.txt") is None
    blob = (run_git(root, "rev-parse", "--verify", "--quiet", "HEAD:./a.txt") or "").strip()
    assert read_blobs(root, [blob, "0" * 40]) == {blob: b"text"}


@pytest.mark.parametrize("content", ["gitdir: nowhere", "no file of git's"])
def test_a_repository_that_git_cannot_read_is_not_taken_for_none(tmp_path: Path, content: str) -> None:
    write_atomically(tmp_path / ".git", content)
    with pytest.raises(GitFailed, match="^git ls-files failed: fatal: "):
        run_git(tmp_path, "ls-files")
    assert read_commit(tmp_path) == (None, None)


def test_an_answer_that_breaks_off_is_none_and_names_the_question(root: Path) -> None:
    with pytest.raises(GitFailed, match="^git log failed: fatal: bad revision"):
        run_git(root, "log", "no-such-revision", "--")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            FileNotFoundError(2, "No such file or directory"),
            "git cannot be run (No such file or directory); install git",
        ),
        (subprocess.TimeoutExpired("git", 60), "git ls-files: no answer in 60 s; try it by hand"),
    ],
)
def test_a_git_that_is_missing_or_silent_is_told(
    root: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, message: str
) -> None:
    def run(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(GitFailed) as caught:
        run_git(root, "ls-files")
    assert (str(caught.value), caught.value.exit_code) == (message, 5)
    assert read_commit(root) == (None, None)


def test_a_broken_record_is_a_fault_of_its_own_where_git_cannot_name_the_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_repository(tmp_path / "root")
    path = Ledger(root / "experiments").save(make_record(root, "tiny-z2-s0"))
    git(root, "init", "--quiet")
    commit(root, "a run")
    path.write_text(path.read_text().replace('"seconds": 4.0', '"seconds": 5.0'))
    plan, ledger = open_repository(root)
    with pytest.raises(RecordFault, match="git holds 4.0"):
        ledger.load(plan)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(RecordFault, match="digest: found "):
        ledger.load(plan)


def test_changed_and_untracked_files_of_a_subfolder_are_named_from_the_top_alike(root: Path) -> None:
    paper = root / "papers/mine"
    paper.mkdir(parents=True)
    write_atomically(paper / "a.py", "1\n")
    commit(root, "a paper beside others")
    write_atomically(paper / "a.py", "2\n")
    write_atomically(paper / "new.py", "3\n")
    assert list_changed(paper) == ["papers/mine/a.py"]
    assert list_untracked(paper, [paper / "a.py", paper / "new.py"]) == ["papers/mine/new.py"]
    assert list_untracked(paper, []) == []
