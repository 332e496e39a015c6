"""What the runs say beside the test that decides a claim: shown to the reader, never counted as another chance."""

from report.cells import CellEvidence
from report.judge import ordering
from report.judge.mcnemar import combine, discord
from report.judge.trials import p_text
from report.sentences import Numbers, Sentence, counted, joined


def same_images(better: CellEvidence, worse: CellEvidence, numbers: Numbers) -> tuple[str, ...]:
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
    won = numbers.count(
        "seeds-won", sum(one.first > one.second for one in found), "seeds whose claimed network is better"
    )
    seeds = numbers.count("seeds", len(found), "seeds whose networks are compared image by image")
    words = Sentence(
        "beside it, on the same test images: the claimed network is right more often in ",
        won,
        " of ",
        counted(seeds, "seed"),
        "; McNemar's exact one-sided test of these networks, combined as twice the mean p of the seeds, has ",
        p_text(numbers.probability("p-mcnemar", p, "McNemar's exact one-sided p, twice the mean of the seeds'")),
    )
    return (words,)


def other_orderings(cells: tuple[CellEvidence, ...], numbers: Numbers) -> tuple[str, ...]:
    """Kendall's tau and Page's test of levels in the claimed order; Page's where every level has the same seeds."""
    levels = [cell.values() for cell in cells]
    tau = ordering.kendall(levels)
    page = ordering.page(levels) if len({cell.seeds for cell in cells}) == 1 else None
    words = list[Sentence]()
    if tau is not None:
        text = f"{tau:.2f}".replace("-", "\N{MINUS SIGN}")
        told = numbers.spelled("tau", tau, text, "Kendall's τ of level and accuracy")
        words.append(Sentence("Kendall's τ of level and accuracy is ", told))
    if page is not None:
        against = ordering.page(levels[::-1])
        assert against is not None
        words.append(
            Sentence(
                "Page's exact test, with the seeds as blocks, has ",
                p_text(numbers.probability("p-page", page, "Page's exact p of the claimed order")),
                " and, for the opposite order, ",
                p_text(numbers.probability("p-page-opposite", against, "Page's exact p of the opposite order")),
            )
        )
    return (Sentence("beside it: ", joined("; ", words)),) if words else ()
