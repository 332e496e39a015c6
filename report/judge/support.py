"""What the runs say beside the test that decides a claim: shown to the reader, never counted as another chance."""

from report.cells import CellEvidence
from report.judge import ordering
from report.judge.mcnemar import combine, discord
from report.judge.trials import p_text
from report.words import amount


def same_images(better: CellEvidence, worse: CellEvidence) -> tuple[str, ...]:
    """McNemar's test of the claimed direction, seed by seed, where both cells keep their bits; else nothing."""
    others = {int(record.parameters["seed"]): record.correct for record in worse.records}
    pairs = [
        (seed, record.correct, others.get(seed)) for seed, record in zip(better.seeds, better.records, strict=True)
    ]
    found = [
        discord(ours, theirs)
        for _, ours, theirs in pairs
        if ours is not None and theirs is not None and (ours.split, ours.count) == (theirs.split, theirs.count)
    ]
    if not found:
        return ()
    p = combine([one.p_first for one in found])
    won = sum(one.first > one.second for one in found)
    seeds = amount(len(found), "seed")
    words = (
        f"beside it, on the same test images: the claimed network is right more often in {won} of {seeds}; McNemar's "
        f"exact one-sided test of these networks, combined as twice the mean p of the seeds, has {p_text(p)}"
    )
    return (words,)


def other_orderings(cells: tuple[CellEvidence, ...]) -> tuple[str, ...]:
    """Kendall's tau and Page's test of levels in the claimed order; Page's where every level has the same seeds."""
    levels = [cell.values() for cell in cells]
    tau = ordering.kendall(levels)
    page = ordering.page(levels) if len({cell.seeds for cell in cells}) == 1 else None
    words = []
    if tau is not None:
        words.append(f"Kendall's τ of level and accuracy is {tau:.2f}".replace("-", "\N{MINUS SIGN}"))
    if page is not None:
        against = ordering.page(levels[::-1])
        words.append(
            f"Page's exact test, with the seeds as blocks, has {p_text(page)} and, for the opposite order, {p_text(against)}"
        )
    return (f"beside it: {'; '.join(words)}",) if words else ()
