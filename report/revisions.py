"""A revision of the repository as git holds it, laid out in a temporary folder; the working tree is not touched."""

import contextlib
import io
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from experiments.provenance import run_git
from experiments.spec import ConfigurationError, MissingTool

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
        MissingTool: git is not there.
    """
    commit, date, subject = _resolve(root, name)
    for path in NEEDED:
        if run_git(root, "cat-file", "-e", f"{commit}:./{path}") is None:
            raise ConfigurationError(f"diff: revision {name!r} has no {path}; {_first_with(root, path)}")
    excluded = [f":(exclude){path}" for path in _LEFT_OUT]
    content = _git(root, "archive", "--format=tar", commit, "--", ".", *excluded)
    with tempfile.TemporaryDirectory(prefix="revision-") as folder:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            archive.extractall(folder, filter="data")
        yield Revision(name, commit, date, subject, Path(folder))


def _resolve(root: Path, name: str) -> tuple[str, str, str]:
    """(full name, day, subject) of the commit that NAME means."""
    _git(root, "rev-parse", "--git-dir")
    form = "--format=%H%n%cs%n%s"
    found = run_git(root, "log", "-1", form, "--end-of-options", f"{name}^{{commit}}", "--")
    if not found:
        raise ConfigurationError(
            f"diff: {name!r} is no revision that git knows here; expected a commit, branch or tag, such as HEAD~1 "
            "(a shallow clone has few: git fetch --unshallow)"
        )
    commit, date, subject = found.split("\n")[:3]
    return commit, date, subject


def _first_with(root: Path, path: str) -> str:
    """From which revision on the file is there, as advice."""
    found = run_git(root, "log", "--diff-filter=A", "--reverse", "--format=%h", "--", path)
    first = (found or "").split()
    return f"the first revision with it is {first[0]}" if first else "no revision has it: commit it first"


def _git(root: Path, *arguments: str) -> bytes:
    """What git prints, as bytes."""
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, check=False)
    except OSError as error:
        raise MissingTool(f"diff: git cannot be run ({error.strerror}); install git") from error
    if done.returncode:
        told = done.stderr.decode("utf-8", "replace").strip()
        raise ConfigurationError(f"diff: git {arguments[0]} failed: {told}; diff needs a git repository with history")
    return done.stdout
