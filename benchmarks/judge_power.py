"""How often is shown what is there? The chances that a report prints, against what repeated papers give.

A design is asked twice, and twice its smallest effect must be shown in four papers of five: planned from the true
spread, and as printed, which is worked out from the few runs of one paper, which know the spread badly, and tried on
other runs.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from numpy.random import Generator

from benchmarks.judge_papers import Question, decide, draw_sweep, draw_ways, try_claim
from report.evidence import Evidence
from report.judge import power
from report.judge.claims import Claim
from report.judge.power import POWER
from report.judge.trials import Outcome
from report.judge.verdict import DECIDED
from report.statistics import Summary
from tests.judging import DIRECTION, EQUALITY, EQUIVALENCE, THRESHOLD, TREND

SD = 0.003
ALPHA = 0.05
SHOWN = (Outcome.REPRODUCED, Outcome.PARTIAL)
Effect = Callable[[Generator, float], tuple[Claim, Evidence]]  # an effect of this size -> a paper in which it is true


def list_power() -> tuple[Question, ...]:
    """All questions: planned from the true spread, as printed, and the runs that would settle a claim."""
    return (*_planned(), *_printed(), *(_settled(n) for n in (3, 5)))


def _known(n: int, sd: float = SD) -> Summary:
    """N runs whose standard deviation is known."""
    return Summary(n, 0.7, sd, sd / math.sqrt(n))


def _direction(noise: Generator, gap: float, n: int) -> tuple[Claim, Evidence]:
    return DIRECTION, draw_sweep(noise, (0.7, SD, n), (0.7 + gap, SD, n))


def _trend(noise: Generator, gap: float, n: int) -> tuple[Claim, Evidence]:
    return TREND, draw_sweep(noise, *((0.7 + gap * level / 3, SD, n) for level in range(4)))


def _threshold(noise: Generator, gap: float, n: int) -> tuple[Claim, Evidence]:
    return THRESHOLD, draw_sweep(noise, (0.71 + gap, SD, n))


def _equality(noise: Generator, margin: float, n: int) -> tuple[Claim, Evidence]:
    return replace(EQUALITY, margin=margin), draw_sweep(noise, (0.71, SD, n))


def _equivalence(noise: Generator, margin: float, n: int) -> tuple[Claim, Evidence]:
    return replace(EQUIVALENCE, margin=margin), draw_ways(noise, 0.0, n)


def _shows(noise: Generator, effect: Effect, size: float) -> bool:
    claim, evidence = effect(noise, size)
    return decide(claim, evidence) in SHOWN


def _planned() -> Iterator[Question]:
    def ask(kind: str, what: str, n: int, effect: Callable[..., tuple[Claim, Evidence]], size: float) -> Question:
        truth = f"{what} {100 * size:.2f} pp, planned from the true spread, {n} runs a cell"
        return Question(kind, truth, "shown", POWER, partial(_shows, effect=partial(effect, n=n), size=size))

    for n in (3, 5, 10):
        one, two = power.repeat(_known(n)), power.repeat(_known(n), _known(n))
        pairs = power.repeat(_known(n, 0.002 * math.sqrt(2)))
        yield ask("direction", "difference", n, _direction, power.smallest_gap(two, ALPHA))
        yield ask("trend", "end to end", n, _trend, power.smallest_gap(two, ALPHA / 2))
        yield ask("threshold", "distance", n, _threshold, power.smallest_gap(one, ALPHA))
        yield ask("equality", "equal, margin", n, _equality, power.smallest_margin(one, ALPHA))
        yield ask("equivalence", "equal, margin", n, _equivalence, power.smallest_margin(pairs, ALPHA))


def _printed() -> Iterator[Question]:
    effects: tuple[tuple[str, Callable[..., tuple[Claim, Evidence]]], ...] = (
        ("direction", _direction),
        ("threshold", _threshold),
        ("equality", _equality),
        ("equivalence", _equivalence),
    )
    for kind, effect in effects:
        for n in (3, 5, 10):
            truth = f"as large as a first paper prints, {n} runs a cell"
            answer = partial(_shows_what_is_printed, effect=partial(effect, n=n))
            yield Question(kind, truth, "shown by a second", POWER, answer)


def _shows_what_is_printed(noise: Generator, effect: Effect) -> bool:
    """A first paper prints the smallest effect that it would have shown; such an effect is true of a second one."""
    design = try_claim(*effect(noise, 0.005)).details().design
    assert design is not None
    return _shows(noise, effect, design.smallest)


def _settled(n: int) -> Question:
    truth = f"0.50 pp, undecided after {n} runs a cell; as many as the first paper asks for"
    return Question("direction", truth, "decided by a second", POWER, partial(_settles, n=n), is_held=False)


def _settles(noise: Generator, n: int) -> bool:
    """Whether a new paper with the number of runs that an undecided one asks for is decided; at most MOST_RUNS."""
    while True:
        claim, evidence = _direction(noise, 0.005, n)
        if decide(claim, evidence) not in DECIDED:
            break
    design = try_claim(claim, evidence).details().design
    assert design is not None
    runs = design.runs_needed(n) or power.MOST_RUNS
    return decide(*_direction(noise, 0.005, runs)) in DECIDED
