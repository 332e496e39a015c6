"""A paper as small as can be, with every sort of thing that can stand on a page; and text that tries to break out."""

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from experiments.spec import State
from report.figures import Figure
from report.judge.claims import Claim, ClaimKind
from report.judge.trials import Outcome
from report.judge.verdict import Verdict
from report.quantities import Fidelity, Kind, Quantity, Registry, Spread, Tier
from report.tables import Column, Table

HOSTILE = "& % _ # $ { } ~ ^ \\ < > \"q\" 'a' `c` [x] *b* @m //c -- 1. | ¬ ± × μ → 中 <script>alert(1)</script>"
CLAIM = Claim("it", "It is so.", "Table 1", "seen", ClaimKind.COUNT, False, 0.05, 3, None)
METADATA = {
    "title": f"Title {HOSTILE}",
    "authors": [{"name": f"Ann {HOSTILE}", "orcid": "", "email": "ann@example.org", "affiliations": "1,*"}],
    "affiliations": [{"code": "1", "name": f"Institute {HOSTILE}", "address": ""}],
    "keywords": "rescience c, machine learning",
    "type": "Replication",
    "domain": "Machine Learning",
}


def accuracy(value: float = 0.7123, n: int = 3, name: str = "cell") -> Quantity:
    """A measured accuracy with an interval of ± 0.41 pp."""
    return Quantity(
        f"group/{name}/test_accuracy",
        Kind.ACCURACY,
        value,
        spread=Spread(value - 0.0041, value + 0.0041, 0.0016) if n > 1 else None,
        n=n,
        fidelity=Fidelity("cifar10", 5, "keras", "fp32", 45_000),
        origin=("run-s0", "run-s1"),
        aggregate="mean of the last epoch's test accuracy",
        tier=Tier.RUN_HERE,
    )


def pending(name: str = "pending") -> Quantity:
    """An accuracy that is planned."""
    return Quantity(f"group/{name}/test_accuracy", Kind.ACCURACY, None, State.PENDING, why="3 runs to come")


def table(text: str = "a row") -> Table:
    """Text, a mean with its interval, a single run, a pending value and an outcome."""
    columns = (
        Column("cell", "Cell"),
        Column("ours", "Ours (5 epochs)", "%", "right"),
        Column("n", "n", "", "right"),
        Column("verdict", "Verdict"),
    )
    return Table(
        "demo",
        f"The finding of {text}.",
        "A note.",
        columns,
        (
            (text, accuracy(), "3", Outcome.REPRODUCED),
            ("single", accuracy(0.7, 1, "single"), "1", Outcome.NOT_COMPARABLE),
            ("waiting", pending(), "0", Outcome.NOT_TESTED),
        ),
    )


def figure(text: str = "a figure") -> Figure:
    """Three rows of a comparison."""
    rows = [
        {"row": "patch size 4", "who": "run", "epochs": 5, "seed": s, "test_accuracy": 0.7 + s / 100} for s in (0, 1)
    ]
    rows.append(
        {"row": "patch size 4", "who": "mean", "epochs": 5, "n": 2, "test_accuracy": 0.705, "low": 0.69, "high": 0.72}
    )
    rows.append({"row": "patch size 4", "who": "original", "epochs": 200, "test_accuracy": 0.95})
    return Figure("demo", "rows", f"The finding of {text}.", "Dots are runs.", f"Alternative to {text}.", tuple(rows))


def absent(text: str = "a figure") -> Figure:
    """A figure without data."""
    return Figure("absent", "rows", f"Title of {text}.", "", "Nothing.", message=f"Nothing to draw yet of {text}.")


RUNS = tuple(SimpleNamespace(run=SimpleNamespace(name=f"run-s{seed}", cell="run")) for seed in (0, 1))


def context(text: str = "plain", **changes: Any) -> SimpleNamespace:
    """What `Composer` needs of a context: every word of prose, a table; TEXT in each place where text can stand."""
    verdict = Verdict(CLAIM, Outcome.INCONCLUSIVE, (), "")
    words = {"text": text, "ours": accuracy(), "waiting": pending(), "verdict": verdict, "number": 0.7123}
    made = {
        "metadata": METADATA,
        "smoke": False,
        "tables": {"demo": table(text)},
        "words": words,
        "registry": Registry(),
        "told": set[str](),
        "evidence": SimpleNamespace(recorded=lambda: (), runs=lambda: RUNS),
        "columns": {"run": ["run-s0"], "groups": [("a", "b")], "why": ["=1+1"]},
    }
    return SimpleNamespace(**(made | changes))


def figures(text: str = "plain") -> dict[str, Figure]:
    """Both figures by name."""
    return {"demo": figure(text), "absent": absent(text)}


PROSE = {
    "00-summary.md": """# Reproducibility summary {.unnumbered}

**Scope** — We see << ref("tab:demo") >>, << ref("fig:demo") >>, << ref("fig:absent") >> and << ref("sec:setup") >>
in [@he2016deep]. Typed: & % _ # { } ~ ^ \\\\ ¬ ± × μ → 中 <script>alert(1)</script>. Printed: << text >>.
""",
    "10-body.md": """# Body

## Setup {#sec:setup}

### Run in

Ours is << ours >>, the other << waiting >>; the verdict is << verdict >>, and $h(p^2+1)$ `code_here`.

<< table("demo") >>

<< figure("demo") >>

<< figure("absent") >>
""",
    "90-appendix.md": '# Runs {.appendix}\n\nThe end, see << ref("sec:setup") >>.\n',
}


def make_paper(folder: Path, root: Path, prose: dict[str, str] | None = None) -> Path:
    """A root with the templates, the bibliography and this prose below FOLDER; returns it."""
    sections = folder / "report/paper/sections"
    sections.mkdir(parents=True)
    for name in ("references.bib", "numeric.csl"):
        shutil.copyfile(root / "report/paper" / name, folder / "report/paper" / name)
    (folder / "templates").symlink_to(root / "templates")
    for name, text in (PROSE if prose is None else prose).items():
        (sections / name).write_text(text, encoding="utf-8")
    return folder
