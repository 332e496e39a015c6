"""What git is asked. That there is nothing, and that git cannot tell, are two answers: no check may take one for the other."""

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

from experiments.spec import MissingTool

_TIMEOUT_SECONDS = 60
# Whatever the user has settled for the eye: merges are told against each parent, and no file is followed by its content.
_SETTINGS = ("-c", "log.diffMerges=separate", "-c", "log.follow=false")

# What runs and builds write, of this paper and of any beside it, as git's pathspecs.
_OUTCOMES = tuple(
    f":(top,exclude,glob)**/{place}/**" for place in ("experiments/records", "experiments/executed", "report/out")
)


class GitFailed(MissingTool):
    """There is a repository, but git is not installed, refuses it, breaks off or does not answer in time."""


def run_git(root: Path, *arguments: str) -> str | None:
    """What `git <arguments>` prints, as text; see `read_git`."""
    content = read_git(root, *arguments)
    return None if content is None else content.decode("utf-8", "replace")


def read_git(root: Path, *arguments: str, given: bytes = b"") -> bytes | None:
    """What `git <arguments>` prints when it is GIVEN this; None where ROOT is in no repository, or git's answer is no (1).

    Raises:
        GitFailed: the repository cannot be asked.
    """
    if not _is_in_repository(root):
        return None
    command = ["git", "-C", str(root), *_SETTINGS, *arguments]
    try:
        done = subprocess.run(command, input=given, capture_output=True, timeout=_TIMEOUT_SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise GitFailed(f"git {arguments[0]}: no answer in {_TIMEOUT_SECONDS} s; try it by hand") from error
    except OSError as error:
        raise GitFailed(f"git cannot be run ({error.strerror}); install git") from error
    if done.returncode not in (0, 1):
        told = " ".join(done.stderr.decode("utf-8", "replace").split())
        raise GitFailed(f"git {arguments[0]} failed: {told or f'exit code {done.returncode}'}")
    return done.stdout if done.returncode == 0 else None


def _is_in_repository(folder: Path) -> bool:
    """Told without git, which calls a repository that it cannot read none at all."""
    here = folder.resolve()
    return here.is_dir() and (
        "GIT_DIR" in os.environ or any(os.path.lexists(p / ".git") for p in (here, *here.parents))
    )


def read_head(root: Path) -> str | None:
    """The checked-out commit; None where there is none.

    Raises:
        GitFailed: the repository cannot be asked.
    """
    return (run_git(root, "rev-parse", "--verify", "--quiet", "HEAD") or "").strip() or None


def is_shallow(root: Path) -> bool:
    """Whether the clone lacks the commits before some of its own.

    Raises:
        GitFailed: the repository cannot be asked.
    """
    return (run_git(root, "rev-parse", "--is-shallow-repository") or "").strip() == "true"


def read_commit(root: Path, code: Iterable[Path] = ()) -> tuple[str | None, bool | None]:
    """The checked-out commit, and whether files differ from it; None for each that git does not tell.

    Of what git does not track only the files of CODE count: nobody who checks the commit out has them. What runs and
    builds write does not count: a run that replaces its record has not changed the code of the next.
    """
    commit = None
    try:
        commit = read_head(root)
        changes = [*(list_changed(root) or ()), *list_untracked(root, code)] if commit else None
    except GitFailed:  # A run counts all the same, and its record says what is not known.
        changes = None
    return commit, None if changes is None else bool(changes)


def list_changed(root: Path) -> list[str] | None:
    """The tracked files that differ from the commit, from the top of the repository; None where there is none.

    Raises:
        GitFailed: the repository cannot be asked.
    """
    told = run_git(root, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=no", "--", ":/", *_OUTCOMES)
    return None if told is None else [entry[3:] for entry in told.split("\0") if entry]


def list_untracked(root: Path, files: Iterable[Path]) -> list[str]:
    """Those of the FILES below ROOT that git does not track, from the top of the repository; none without one.

    Raises:
        GitFailed: the repository cannot be asked.
    """
    specified = [f":(literal){path.relative_to(root).as_posix()}" for path in files]
    if not specified:  # of which git would list all
        return []
    told = run_git(root, "ls-files", "--others", "--full-name", "-z", "--", *specified)
    return [name for name in (told or "").split("\0") if name]


def read_blobs(root: Path, blobs: Iterable[str]) -> dict[str, bytes]:
    """Blob -> its content, by one process of git; without those that a clone lacks of its past.

    Raises:
        GitFailed: the repository cannot be asked.
    """
    content = read_git(root, "cat-file", "--batch", given="\n".join(blobs).encode()) or b""
    found, at = {}, 0
    while (end := content.find(b"\n", at)) >= 0:  # `<blob> blob <size>`, the content, a line break; or `<blob> missing`
        blob, _, size = content[at:end].decode("ascii", "replace").partition(" blob ")
        at = end + 1
        if size.isdigit():
            found[blob] = content[at : at + int(size)]
            at += int(size) + 1
    return found
