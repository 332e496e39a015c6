"""Where Python looks for this package in a process that is begun for a paper, which may lie elsewhere."""

import os
from pathlib import Path

MACHINERY = Path(__file__).resolve().parent.parent


def search_path() -> str:
    """$PYTHONPATH for such a process."""
    return os.pathsep.join(filter(None, (str(MACHINERY), os.environ.get("PYTHONPATH"))))
