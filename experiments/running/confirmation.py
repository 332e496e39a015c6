"""A kernel's own look at its code: is it still the one from which its run's key was taken?

The key is taken before the kernel starts, and the kernel imports the modules some seconds later. A file that is edited
in between would give a record under a key that is not its code's. So the notebook's first word to the machinery, when
everything is imported and nothing is computed, compares. What is edited later changes neither the run nor its key.
"""

import json
import os
from functools import cache
from pathlib import Path

from experiments.fingerprint import Fingerprint, Fingerprinter
from experiments.spec import ConfigurationError

CODE_VARIABLE = "REPRODUCTION_CODE"


def describe_code(root: Path, notebook: str, today: Fingerprint) -> str:
    """What the kernel is told of its code: where it lies, and the digests of the notebook and of each module."""
    return json.dumps({"root": str(root.absolute()), "file": notebook, "code": today.code, **today.to_json()})


@cache
def confirm_code() -> None:
    """Looks once a process; does nothing where a person runs the notebook.

    Raises:
        ConfigurationError: a module or the notebook was changed since the run's key was taken.
    """
    told = os.environ.get(CODE_VARIABLE)
    if not told:
        return
    expected = json.loads(told)
    today = Fingerprinter(Path(expected["root"])).of_notebook(expected["file"])
    if today.code == expected["code"]:
        return
    modules = today.to_json()["modules"]
    names = expected["modules"].keys() | modules.keys()
    changed = sorted(name for name in names if expected["modules"].get(name) != modules.get(name))
    raise ConfigurationError(
        f"{', '.join(changed) or expected['file']} changed while the run began, so that its key is not that of the "
        "code that runs; nothing is recorded: run it again"
    )
