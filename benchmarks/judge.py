"""The report's judge on simulated papers whose truth is known: how often is it wrong, and does it show what it says?

    python benchmarks/judge.py [--papers 10000] [--save]

Each line draws that many papers and lets the rules of `report/` judge them, as a report does. An error may occur as often
as it is stated to, and a design must show what it was planned for. A share that lies on the bad side of the stated one by
more than three standard errors of the simulation is called so; by more than a percentage point, or two for power, it ends
the command with exit code 1. The lines that break an assumption of a test on purpose, and those on numbers that were worked
out from a few runs, are told and held to nothing.
"""

import argparse
import math
import platform
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from numpy.random import default_rng

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from benchmarks.judge_errors import list_errors
from benchmarks.judge_papers import Question
from benchmarks.judge_power import list_power
from report.statistics import wilson

SEED = 20_261_123
TOLD = 5  # where nothing is held to the share, a fifth of the papers will do
ERRORS = 3.0  # standard errors of the simulation: of sixty lines hardly ever one by chance
# How far a share may lie beyond the stated one. Welch's test is known to err a little too often of three runs with unequal
# spreads; power is planned from sixteen spreads, and that of a trend from its end-to-end difference alone.
ROOM = {True: 0.01, False: 0.02}  # by whether it is an error


@dataclass(frozen=True)
class Share:
    """In how many of the papers the answer to a question was yes."""

    question: Question
    yes: int
    papers: int
    is_error: bool

    @property
    def share(self) -> float:
        """Of the papers, as a fraction."""
        return self.yes / self.papers

    @property
    def beyond(self) -> float:
        """By how much the share lies on the bad side of the stated one; 0 where so many papers cannot tell."""
        stated = self.question.stated
        excess = self.share - stated if self.is_error else stated - self.share
        return excess if excess > ERRORS * math.sqrt(stated * (1 - stated) / self.papers) else 0.0

    @property
    def is_kept(self) -> bool:
        """Whether the stated share is kept, but for the room that it has; always where it is held to nothing."""
        return self.beyond <= ROOM[self.is_error] or not self.question.is_held

    @property
    def line(self) -> str:
        """A row of the page's table."""
        asked, interval = self.question, wilson(self.yes, self.papers)
        verdict = "told" if not asked.is_held else f"**{100 * self.beyond:.2f} pp beyond**" if self.beyond else "kept"
        sign = "≤" if self.is_error else "≥"
        return (
            f"| {asked.kind} | {asked.truth} | {asked.asked} | {self.papers:,} | {sign} {_percent(asked.stated)} | {_percent(self.share)} "
            f"| {_percent(interval.low)} to {_percent(interval.high)} | {verdict} |"
        )


def measure(questions: Iterable[Question], papers: int, *, is_error: bool) -> list[Share]:
    """The share of each question, every one with a stream of random numbers of its own."""
    found = []
    for index, question in enumerate(questions):
        noise, drawn = default_rng([SEED, int(is_error), index]), papers if question.is_held else papers // TOLD
        found.append(Share(question, sum(question.answer(noise) for _ in range(drawn)), drawn, is_error))
    return found


def make_page(errors: list[Share], power: list[Share], seconds: float) -> str:
    """The results in Markdown."""
    day = datetime.now(UTC).date()
    libraries = ", ".join(f"{name} {version(name)}" for name in ("numpy", "scipy"))
    return (
        f"# The judge on simulated papers\n\n{day}, seed {SEED}; {platform.machine()}, Python "
        f"{platform.python_version()}, {libraries}; {seconds / 60:.1f} minutes of one core.\n\n"
        "Made by `python benchmarks/judge.py --save`, which says what is held to what.\n\n"
        f"{_summarise(errors, 'error')} {_summarise(power, 'power')}\n\n"
        f"## Errors\n\n{_table(errors)}\n\n## Power\n\n{_table(power)}\n"
    )


def _summarise(shares: list[Share], what: str) -> str:
    """How many lines keep what is stated, and which do not."""
    held = [share for share in shares if share.question.is_held]
    found = [share for share in held if share.beyond]
    listed = "; ".join(f"{s.question.kind}, {s.question.truth}: {_percent(s.share)}" for s in found)
    kept = f"Of {len(held)} lines on {what} that are held to what is stated, {len(held) - len(found)} keep it"
    return f"{kept}; the others: {listed}." if found else f"{kept}."


def _table(shares: list[Share]) -> str:
    head = "| kind | what is true | counted | papers | stated | observed | 95 % interval | |\n|---|---|---|--:|--:|--:|--:|---|"
    return "\n".join([head, *(share.line for share in shares)])


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--papers", type=int, default=10_000, help="simulated papers a line (default 10000)")
    parser.add_argument("--save", action="store_true", help="write the page to benchmarks/results/")
    arguments = parser.parse_args()
    began = time.process_time()
    errors = measure(list_errors(), arguments.papers, is_error=True)
    power = measure(list_power(), arguments.papers, is_error=False)
    page = make_page(errors, power, time.process_time() - began)
    print(page)
    if arguments.save:
        (ROOT / "benchmarks/results" / f"judge-{datetime.now(UTC).date()}.md").write_text(page, encoding="utf-8")
    return 0 if all(share.is_kept for share in (*errors, *power)) else 1


if __name__ == "__main__":
    sys.exit(main())
