"""A revision of the repository as git holds it, laid out in a temporary folder; the working tree is not touched."""

import contextlib
import io
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from experiments.git import read_git, run_git
from experiments.spec import ConfigurationError

NEEDED = ("experiments/plan.yaml", "report/paper/claims.yaml", "report/paper/original.csv")
_LEFT_OUT = ("report/out", "experiments/executed", "tests")  # what no meaning depends on, and half of the bytes


@dataclass(frozen=True)
class Revision:
    """A commit: as the user named it, its full name, its day, its subject line, and the folder that holds its files."""

    name: str
    commit: str
    date: str
    subject: str
    folder: Path


@contextlib.contextmanager
def lay_out(root: Path, name: str) -> Iterator[Revision]:
    """The files of the revision NAME of the repository at ROOT, or below the folder ROOT of a larger one.

    Raises:
        ConfigurationError: NAME is no revision, ROOT is in no repository, or the revision lacks a file of `NEEDED`.
        GitFailed: git is not there, or cannot read the repository.
    """
    commit, date, subject = _resolve(root, name)
    for path in NEEDED:
        if run_git(root, "rev-parse", "--verify", "--quiet", f"{commit}:./{path}") is None:
            raise ConfigurationError(f"diff: revision {name!r} has no {path}; {_first_with(root, path)}")
    excluded = [f":(exclude){path}" for path in _LEFT_OUT]
    content = read_git(root, "archive", "--format=tar", commit, "--", ".", *excluded) or b""
    with tempfile.TemporaryDirectory(prefix="revision-") as folder:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            archive.extractall(folder, filter=_within)
        yield Revision(name, commit, date, subject, Path(folder))


def _within(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
    """MEMBER, if it stays in FOLDER: a link out of the repository, as to a disk with data, is left out."""
    try:
        return tarfile.data_filter(member, folder)
    except tarfile.FilterError:
        return None


def _resolve(root: Path, name: str) -> tuple[str, str, str]:
    """(full name, day, subject) of the commit that NAME means."""
    if run_git(root, "rev-parse", "--git-dir") is None:
        raise ConfigurationError(f"diff: {root} is in no git repository; diff needs a git repository with history")
    commit = run_git(root, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
    if commit is None:
        raise ConfigurationError(
            f"diff: {name!r} is no revision that git knows here; expected a commit, branch or tag, such as HEAD~1 "
            "(a shallow clone has few: git fetch --unshallow)"
        )
    found = run_git(root, "log", "-1", "--format=%H%n%cs%n%s", commit.strip(), "--") or ""
    commit, date, subject = found.split("\n")[:3]
    return commit, date, subject


def _first_with(root: Path, path: str) -> str:
    """From which revision on the file is there, as advice."""
    found = run_git(root, "log", "--diff-filter=A", "--reverse", "--format=%h", "--", path)
    first = (found or "").split()
    return f"the first revision with it is {first[0]}" if first else "no revision has it: commit it first"
