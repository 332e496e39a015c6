"""The example in a repository of its own, with links to the machinery around it: what a test changes is its copy."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
EXAMPLE = Path("examples/dropout")
_MACHINERY = ("build.py", "experiments", "report", "templates", ".github")


def make_example(folder: Path) -> Path:
    """Lays machinery and example out in the folder; returns the example's."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in _MACHINERY:
        (folder / name).symlink_to(REPOSITORY / name)
    ignored = shutil.ignore_patterns("__pycache__", ".cache", ".smoke")
    shutil.copytree(REPOSITORY / EXAMPLE, folder / EXAMPLE, ignore=ignored)
    return folder / EXAMPLE


def run(folder: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Runs a command in the folder; `python` is this Python."""
    words = [sys.executable if word == "python" else word for word in command]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHON": sys.executable, **variables}
    return subprocess.run(words, cwd=folder, env=environment, check=False, capture_output=True, text=True)


def fenced(page: Path, kind: str) -> list[tuple[str, str]]:
    """(title, content) of each fenced block of this kind on a page of the documentation, in order."""
    pattern = re.compile(rf'^```{kind}(?: title="([^"]*)")?\n(.*?)^```$', re.MULTILINE | re.DOTALL)
    return [(found[1] or "", found[2]) for found in pattern.finditer(page.read_text(encoding="utf-8"))]


def apply_diff(path: Path, diff: str) -> None:
    """Replaces the one place of a diff's lines without `+` by those without `-`."""
    lines = diff.splitlines(keepends=True)
    old = "".join(line[1:] for line in lines if line[0] in " -")
    new = "".join(line[1:] for line in lines if line[0] in " +")
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {path.name}"
    path.write_text(text.replace(old, new), encoding="utf-8")
