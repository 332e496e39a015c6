"""Commits in a repository that a test has made, alike on every machine."""

import subprocess
from pathlib import Path

_OPTIONS = ("-c", "user.name=A Tester", "-c", "user.email=tester@example.org", "-c", "commit.gpgsign=false")
_DATE = "2026-01-01T12:00:00Z"


def git(root: Path, *arguments: str) -> str:
    """What git prints."""
    environment = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": str(root), "GIT_AUTHOR_DATE": _DATE}
    environment |= {"GIT_COMMITTER_DATE": _DATE, "GIT_CONFIG_NOSYSTEM": "1"}
    command = ["git", "-C", str(root), *_OPTIONS, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def commit(root: Path, message: str) -> None:
    """Commits everything."""
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", message)
