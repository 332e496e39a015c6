"""Claims on the repository as small as can be, for tests of what its records are worth and what changes there."""

from pathlib import Path

from report.original import CSV_COLUMNS
from tests.small_repository import PLAN, make_repository

CLAIMS = """version: 1
alpha: 0.05
min_seeds: 2
protocols: {}
claims:
  larger-is-better:
    sentence: The larger is better.
    source: the paper
    certainty: seen in primary source
    kind: direction
    main: true
    protocol: null
    group: sizes
    better: {size: 3}
    worse: {size: 2}
    margin: 0.05
    reason: Less would not matter.
    family: sizes
  three-reaches-half:
    sentence: Size 3 is right for more than half of the images.
    source: the paper
    certainty: seen in primary source
    kind: threshold
    main: false
    protocol: null
    group: sizes
    cell: {size: 3}
    quoted: [half]
"""
QUOTED = "half,the paper,more than,50,,tiny,size=3,2,tiny,,Table 1,certain,"


def make_claims(folder: Path, plan: str = PLAN) -> Path:
    """The small repository with two claims and a section of text; its folder is returned."""
    root = make_repository(folder, plan)
    paper = root / "report" / "paper"
    (paper / "sections").mkdir(parents=True)
    (paper / "claims.yaml").write_text(CLAIMS)
    (paper / "original.csv").write_text(f"{','.join(CSV_COLUMNS)}\n{QUOTED}\n")
    (paper / "metadata.yaml").write_text("title: A tiny reproduction\n")
    (paper / "sections" / "10-text.md").write_text("# Text\n\nOf two sizes.\n")
    return root
