"""A new paper to begin with: small, complete and working, laid out from templates/new."""

import contextlib
import os
import shlex
import shutil
from pathlib import Path

from experiments.git import GitFailed, run_git
from experiments.search_path import MACHINERY
from experiments.spec import ConfigurationError
from report.pages.citation import citation_file

_PLACE = "@MACHINERY@"  # in the template's build.py


def lay_out(folder: Path) -> str:
    """Writes a paper to FOLDER, which is made; says what to do with it.

    Raises ConfigurationError where FOLDER is a file, or holds anything.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()) or (folder.is_dir() and any(folder.iterdir())):
        raise ConfigurationError(f"new: {os.fspath(folder)!r} is there and not an empty folder; name another one")
    ignored = shutil.ignore_patterns("__pycache__", ".cache", ".ipynb_checkpoints")
    shutil.copytree(MACHINERY / "templates" / "new", folder, ignore=ignored, dirs_exist_ok=True)
    script = folder / "build.py"
    text = script.read_text(encoding="utf-8").replace(_PLACE, _way_to_machinery(folder.resolve()))
    script.write_text(text, encoding="utf-8")
    (folder / "CITATION.cff").write_text(citation_file(folder), encoding="utf-8")
    there, steps = os.path.relpath(folder), ["python build.py", "python build.py run", "python build.py"]
    with contextlib.suppress(GitFailed):  # A record names the commit of its code.
        is_in_repository = run_git(folder, "rev-parse", "--git-dir") is not None
        begin = "git add ." if is_in_repository else "git init && git add --all"
        steps.insert(1, f"{begin} && git commit --message 'A new paper'")
    told = [f"cd {shlex.quote(there)}", *steps, "python build.py check"]
    return "\n  ".join([f"{there}: a paper of six short runs; next:", *told])


def _way_to_machinery(folder: Path) -> str:
    """From FOLDER to the machinery; from the root where they lie on different drives."""
    try:
        return Path(os.path.relpath(MACHINERY, folder)).as_posix()
    except ValueError:
        return MACHINERY.as_posix()
