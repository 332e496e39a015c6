"""The command line of this paper: `python build.py --help`. The machinery that it runs lies in MACHINERY."""

import sys
from pathlib import Path

PAPER = Path(__file__).resolve().parent
MACHINERY = PAPER / "@MACHINERY@"

if __name__ == "__main__":  # Figures are drawn in processes of their own, which read this file too.
    if not (MACHINERY / "report").is_dir():
        sys.exit(f"error: {MACHINERY}: the machinery is not there; let MACHINERY in build.py lead to a clone of it")
    sys.path.insert(0, str(MACHINERY.resolve()))
    from build import main

    sys.exit(main(sys.argv[1:], PAPER))
