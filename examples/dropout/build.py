"""The command line of this paper: `python build.py --help`. The machinery that it runs is the repository around it."""

import sys
from pathlib import Path

PAPER = Path(__file__).resolve().parent
MACHINERY = PAPER.parent.parent

if __name__ == "__main__":
    sys.path.insert(0, str(MACHINERY))
    from build import main

    sys.exit(main(sys.argv[1:], PAPER))
