"""How often is a verdict wrong? One question for each way in which a claim of each kind can be judged wrongly."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from numpy.random import Generator

from benchmarks.judge_papers import (
    Question,
    decide,
    decide_family,
    draw_sweep,
    draw_ways,
    make_sweep,
    make_ways,
    try_claim,
)
from report import statistics
from report.evidence import Evidence
from report.judge.claims import Claim, ClaimKind
from report.judge.compound import judge_compound
from report.judge.mcnemar import Discordance, combine
from report.judge.power import MOST_RUNS
from report.judge.trials import Outcome, Tails
from report.judge.verdict import Verdict
from tests.judging import DIRECTION, EQUALITY, EQUIVALENCE, THRESHOLD, TREND, claim

ALPHA = 0.05
POCOCK = 0.0294  # the level of each of two looks (Pocock 1977) that the equivalence claims have
REPRODUCED, PARTIAL, REFUTED = Outcome.REPRODUCED, Outcome.PARTIAL, Outcome.NOT_REPRODUCED


def list_errors() -> tuple[Question, ...]:
    """All questions, by kind of claim, then those in which an assumption is broken on purpose."""
    return (*_directions(), *_trends(), *_values(), *_equivalences(), *_families(), *_intervals(), *_broken())


def _wrong(judged: Claim, paper: Callable[[Generator], Evidence], *outcomes: Outcome) -> Callable[[Generator], bool]:
    return lambda noise: decide(judged, paper(noise)) in outcomes


def _directions() -> Iterator[Question]:
    def ask(truth: str, wrong: tuple[Outcome, ...], *cells: tuple[float, float, int]) -> Question:
        answer = _wrong(DIRECTION, lambda noise: draw_sweep(noise, *cells), *wrong)
        return Question("direction", truth, " or ".join(wrong), ALPHA, answer)

    shown = (REPRODUCED, PARTIAL)
    yield ask("no difference, 3 runs a cell", shown, (0.7, 0.003, 3), (0.7, 0.003, 3))
    yield ask("no difference, sd 0.2 and 0.8 pp, 3 and 5 runs", shown, (0.7, 0.008, 3), (0.7, 0.002, 5))
    yield ask("the opposite by 0.2 pp, 5 runs", shown, (0.702, 0.003, 5), (0.7, 0.003, 5))
    yield ask("as claimed, by the margin, 3 runs", (REFUTED,), (0.7, 0.003, 3), (0.705, 0.003, 3))
    yield ask("as claimed, by the margin, 10 runs", (REFUTED,), (0.7, 0.003, 10), (0.705, 0.003, 10))


def _trends() -> Iterator[Question]:
    def ask(truth: str, wrong: tuple[Outcome, ...], means: tuple[float, ...], n: int) -> Question:
        answer = _wrong(TREND, lambda noise: draw_sweep(noise, *((mean, 0.003, n) for mean in means)), *wrong)
        return Question("trend", truth, " or ".join(wrong), ALPHA, answer)

    shown = (REPRODUCED, PARTIAL)
    yield ask("four equal levels, 3 runs each", shown, (0.7,) * 4, 3)
    yield ask("four equal levels, 10 runs each", shown, (0.7,) * 4, 10)
    yield ask("falling by 0.2 pp end to end, 5 runs", shown, (0.702, 0.701, 0.7), 5)
    yield ask("rising by the margin end to end, 5 runs", (REFUTED,), (0.7, 0.7025, 0.705), 5)


def _values() -> Iterator[Question]:
    def ask(judged: Claim, truth: str, wrong: Outcome, mean: float, n: int) -> Question:
        answer = _wrong(judged, lambda noise: draw_sweep(noise, (mean, 0.004, n)), wrong)
        return Question(str(judged.kind), truth, wrong.value, ALPHA, answer)

    yield ask(EQUALITY, "above the quoted value by the margin, 3 runs", REPRODUCED, 0.72, 3)
    yield ask(EQUALITY, "below the quoted value by the margin, 10 runs", REPRODUCED, 0.70, 10)
    yield Question("equality", "the quoted run is one more of ours, 3 runs", REFUTED.value, ALPHA, _refute_a_like_run)
    for n in (3, 5):
        for wrong in (REPRODUCED, REFUTED):
            yield ask(THRESHOLD, f"at the quoted value, {n} runs", wrong, 0.71, n)


def _refute_a_like_run(noise: Generator) -> bool:
    """The quoted 71.00 % is itself one draw, from a truth that lies anywhere as one run may."""
    mean = 0.71 - noise.normal(0, 0.006)
    return decide(EQUALITY, draw_sweep(noise, (mean, 0.006, 3))) is REFUTED


def _equivalences() -> Iterator[Question]:
    for n in (3, 5, 10):
        answer = _wrong(EQUIVALENCE, partial(draw_ways, gap=0.005, n=n), REPRODUCED)
        yield Question("equivalence", f"apart by the margin, {n} pairs", REPRODUCED.value, ALPHA, answer)
    unpaired = _wrong(EQUIVALENCE, _draw_unpaired, REPRODUCED)
    yield Question("equivalence", "apart by the margin, 4 and 5 runs, no pairs", REPRODUCED.value, ALPHA, unpaired)
    refuted = _wrong(EQUIVALENCE, partial(draw_ways, gap=0.005, n=5), REFUTED)
    yield Question("equivalence", "apart by the margin, 5 pairs", REFUTED.value, ALPHA / 2, refuted)
    looked = f"{REPRODUCED.value} at either"
    yield Question("equivalence", "apart by the margin, looked at after 5 and after 10", looked, ALPHA, _look_twice)


def _draw_unpaired(noise: Generator) -> Evidence:
    return make_ways(noise.normal(0.7, 0.003, 4).tolist(), noise.normal(0.705, 0.002, 5).tolist())


def _look_twice(noise: Generator) -> bool:
    """Ten pairs at Pocock's level; the first five are looked at, and the other five only where these decide nothing."""
    judged, common = replace(EQUIVALENCE, alpha=POCOCK), noise.normal(0.7, 0.002, 10)
    plain, native = ((common + noise.normal(mean, 0.002, 10)).tolist() for mean in (0.0, 0.005))
    first = decide(judged, make_ways(plain[:5], native[:5]))
    return first is REPRODUCED or (
        first is Outcome.INCONCLUSIVE and decide(judged, make_ways(plain, native)) is REPRODUCED
    )


def _families() -> Iterator[Question]:
    any_wrong = f"any {REPRODUCED.value} or {PARTIAL.value} wrongly"
    yield Question("family", "five directions, none there", any_wrong, ALPHA, partial(_err_in_family, there=0))
    yield Question("family", "five directions, two there", any_wrong, ALPHA, partial(_err_in_family, there=2))
    yield Question("compound", "three directions, two there", REPRODUCED.value, ALPHA, _err_in_compound)
    yield Question("images", "equal networks, McNemar, 3 seeds", "p below alpha", ALPHA, _tell_equal_networks_apart)


def _err_in_family(noise: Generator, there: int, size: int = 5) -> bool:
    gaps = [0.02 if index < there else 0.0 for index in range(size)]
    papers = [draw_sweep(noise, (0.7, 0.002, 3), (0.7 + gap, 0.002, 3)) for gap in gaps]
    return not {REPRODUCED, PARTIAL}.isdisjoint(decide_family([DIRECTION] * size, papers)[there:])


def _err_in_compound(noise: Generator) -> bool:
    """That all of three hold, of which one does not; the parts share an error rate, the whole needs none."""
    papers = [draw_sweep(noise, (0.7, 0.002, 3), (0.7 + gap, 0.002, 3)) for gap in (0.02, 0.02, 0.0)]
    parts = [replace(DIRECTION, id=f"part-{index}") for index in range(3)]
    outcomes = zip(parts, decide_family(parts, papers), strict=True)
    verdicts = {part.id: Verdict(part, outcome, ("",), "") for part, outcome in outcomes}
    whole = claim(ClaimKind.COMPOUND, parts=tuple(verdicts))
    return judge_compound(whole, verdicts)[0] is REPRODUCED


def _tell_equal_networks_apart(noise: Generator) -> bool:
    return combine([Discordance(won, 300 - won).p_first for won in noise.binomial(300, 0.5, 3).tolist()]) < ALPHA


def _intervals() -> Iterator[Question]:
    """Misses of 95 % intervals; what the report prints as ± is one of them."""

    def miss_mean(noise: Generator, n: int) -> bool:
        return 0.7 not in statistics.summarise(noise.normal(0.7, 0.003, n).tolist()).interval()

    def miss_next(noise: Generator, n: int) -> bool:
        *runs, one_more = noise.normal(0.7, 0.003, n + 1).tolist()
        return one_more not in statistics.prediction_interval(runs)

    def miss_difference(noise: Generator, n: int) -> bool:
        a, b = noise.normal(0.7, 0.003, n).tolist(), noise.normal(0.69, 0.001, n).tolist()
        return 0.7 - 0.69 not in statistics.welch(a, b).interval()

    misses: tuple[tuple[str, Callable[..., bool]], ...] = (
        ("of the mean", miss_mean),
        ("for one more run", miss_next),
        ("of a difference, sd 0.3 and 0.1 pp", miss_difference),
    )
    for words, miss in misses:
        for n in (3, 5, 10):
            yield Question("interval", f"95 % interval {words}, {n} runs", "missed", ALPHA, partial(miss, n=n))


def _broken() -> Iterator[Question]:
    """Runs that are not normal, and spreads that differ where the test takes them as equal: told, held to nothing."""

    def draw_skewed(noise: Generator, n: int) -> list[float]:
        """One run in ten falls a point lower, as where a training goes astray."""
        return (noise.normal(0.71, 0.003, n) - 0.01 * (noise.random(n) < 0.1)).tolist()

    def skewed(noise: Generator) -> bool:
        return decide(DIRECTION, make_sweep(draw_skewed(noise, 3), draw_skewed(noise, 3))) in (REPRODUCED, PARTIAL)

    def skewed_threshold(noise: Generator) -> bool:
        runs = [value + 0.001 for value in draw_skewed(noise, 5)]  # the true mean is the quoted value
        return decide(THRESHOLD, make_sweep(runs)) is REFUTED

    unlike = tuple((0.7, sd, 5) for sd in (0.001, 0.002, 0.004, 0.008))
    spreads = _wrong(TREND, lambda noise: draw_sweep(noise, *unlike), REPRODUCED, PARTIAL)
    yield Question(
        "direction", "no difference, one run in ten astray, 3 runs", "REPRODUCED or PARTIAL", ALPHA, skewed, False
    )
    below = "at the quoted value, one run in ten astray, 5 runs"
    yield Question("threshold", below, "NOT REPRODUCED", ALPHA, skewed_threshold, False)
    yield Question("trend", "equal levels, sd 0.1 to 0.8 pp, 5 runs", "REPRODUCED or PARTIAL", ALPHA, spreads, False)
    for size in (1, 7):
        truth = f"equal levels, sd 0.5 pp at the ends and 0.1 between, 5 runs, first of {size} by Holm"
        answer = partial(_err_at_unequal_ends, family=size)
        yield Question("trend", truth, "REPRODUCED or PARTIAL", ALPHA / size, answer, False)
    yield from _second_looks()


def _err_at_unequal_ends(noise: Generator, family: int) -> bool:
    trial = try_claim(TREND, draw_sweep(noise, *((0.7, sd, 5) for sd in (0.005, 0.001, 0.001, 0.005))))
    assert trial.tails is not None and trial.judge is not None
    after = Tails(family * trial.tails.claimed, family * trial.tails.opposite)
    return trial.judge(after, TREND.margin)[0] in (REPRODUCED, PARTIAL)


def _second_looks() -> Iterator[Question]:
    """Undecided, then judged again at the same level with as many runs as the first look asks for."""

    def ask(judged: Claim, truth: str, wrong: tuple[Outcome, ...], *means: float) -> Question:
        answer = partial(_err_at_either_look, judged=judged, wrong=wrong, means=means)
        words = f"{truth}, judged again with the runs that would settle it"
        return Question(str(judged.kind), words, " or ".join(wrong), ALPHA, answer, False)

    yield ask(DIRECTION, "no difference, 3 runs", (REPRODUCED, PARTIAL), 0.7, 0.7)
    yield ask(EQUALITY, "above the quoted value by the margin, 3 runs", (REPRODUCED,), 0.72)
    yield ask(THRESHOLD, "at the quoted value, 3 runs", (REPRODUCED,), 0.71)


def _err_at_either_look(
    noise: Generator, judged: Claim, wrong: tuple[Outcome, ...], means: tuple[float, ...], n: int = 3
) -> bool:
    runs = [noise.normal(mean, 0.003, MOST_RUNS).tolist() for mean in means]
    first = make_sweep(*(cell[:n] for cell in runs))
    outcome = decide(judged, first)
    if outcome is Outcome.INCONCLUSIVE:
        design = try_claim(judged, first).details().design
        assert design is not None
        needed = design.runs_needed(n) or MOST_RUNS
        outcome = decide(judged, make_sweep(*(cell[:needed] for cell in runs)))
    return outcome in wrong
