"""The certificate as a page that a person reads and signs: Markdown."""

from collections.abc import Iterator

from experiments.running.progress import format_seconds
from experiments.spec import ACCURACY
from report.judge.trials import percent_text
from report.pages.formats import escape_markdown
from report.quantities import Kind, spell
from report.review.agreement import LEVEL
from report.review.certificate import Certificate, Verified, machines_of
from report.words import first_few

_NAMED = 3  # at most this many differences are named

_SHORT = 10  # hexadecimal digits of a commit
_NONE = "—"


def format_certificate(certificate: Certificate) -> str:
    """The page."""
    return "\n".join(_lines(certificate)) + "\n"


def _lines(certificate: Certificate) -> Iterator[str]:
    yield from ("# Certificate of verification", "", f"Of *{escape_markdown(certificate.title)}*.", "")
    yield from (f"**{certificate.heading}.** {certificate.summary}.", "")
    yield from ("| | |", "|---|---|")
    yield from (f"| {name} | {escape_markdown(text)} |" for name, text in _facts(certificate))
    yield from ("", "## Runs", "", "| run | recorded | run again | expected | same bits | outcome |")
    yield "|---|---:|---:|---:|---|---|"
    yield from map(_row, certificate.runs)
    for verified in certificate.runs:
        yield from ("", f"**{verified.pick.candidate.name}** {escape_markdown(_explain(verified))}")
    yield from ("", "## How it was judged", "", _method())


def _facts(certificate: Certificate) -> Iterator[tuple[str, str]]:
    changed = ", with local changes" if certificate.dirty else ""
    yield "code and records", f"commit {certificate.commit[:_SHORT]}{changed}" if certificate.commit else "no git"
    yield "asked for", str(certificate.asked)
    yield "of these", f"{certificate.recorded} recorded; those below were picked and run again from scratch"
    yield "begun", certificate.started
    budget = f"budget {format_seconds(certificate.budget_seconds)}"
    yield "took", f"{format_seconds(certificate.spent_seconds)}, {budget}"
    for told in machines_of(certificate.runs):
        yield "computed by", told


def _row(verified: Verified) -> str:
    judged = verified.judged
    recorded = spell(Kind.ACCURACY, verified.recorded.metrics[ACCURACY])
    again = _NONE if verified.again is None else spell(Kind.ACCURACY, verified.again.metrics[ACCURACY])
    expected = _NONE
    if judged is not None and judged.interval is not None:
        bounds = max(judged.interval.low, 0.0), min(judged.interval.high, 1.0)
        expected = " to ".join(spell(Kind.ACCURACY, bound) for bound in bounds)
    bits = _NONE if judged is None else "yes" if judged.same_bits else "no"
    cells = (verified.pick.candidate.name, recorded, again, expected, bits, verified.agreement)
    return f"| {' | '.join(cells)} |"


def _explain(verified: Verified) -> str:
    """Why it was picked, how its code stands to today's, what the interval rests on, and what differs."""
    parts = [
        f"{verified.agreement}: {verified.why}",
        f"picked for: {'; '.join(verified.pick.candidate.leverage.reasons)}",
    ]
    if verified.code == "stale":
        parts.append(
            "its record is stale, so that this tells of today's code and not of the record's: "
            f"{first_few(verified.changes, _NAMED)}"
        )
    if verified.code == "accepted":
        parts.append(f"its record is older than today's code and was accepted: {verified.accepted.rstrip('.')}")
    judged = verified.judged
    if judged is not None and judged.yardstick is not None:
        told = judged.yardstick
        sd = spell(Kind.DIFFERENCE, told.sd).lstrip("+")
        parts.append(f"standard deviation {sd} (n = {told.runs}, degrees of freedom {told.degrees}): {told.basis}")
    if judged is not None and judged.differing:
        parts.append(f"not as recorded, so that other bits are no surprise: {first_few(judged.differing, _NAMED)}")
    return ". ".join(f"{part[:1].upper()}{part[1:]}" for part in parts) + "."


def _method() -> str:
    return (
        "Each run was begun anew, without a checkpoint, from the parameters of its record. Its accuracy is expected "
        "within t · sd · √2 of the recorded one: both are taken as draws of one cell, whose spread is that of its other "
        "recorded seeds. Where these are fewer than four, it has also to lie within the interval by the spread pooled over "
        "cells of the same settings, provided that Bartlett's test does not reject equal variances; the narrower of both "
        f"intervals is shown. Runs with the same bits need no such test; the others share a level of {percent_text(LEVEL)}, so "
        f"that a true record is called disagreeing in about {percent_text(LEVEL)} of certificates, where the cells that are "
        "pooled have one spread; of few seeds the test finds only coarse differences. A change that is smaller than the interval shows only in the bits."
    )
