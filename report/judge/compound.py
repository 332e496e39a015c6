"""Claims that are several at once: their verdict follows from those of their parts, and lists them."""

from collections.abc import Mapping, Sequence

from report.judge.claims import Claim
from report.judge.trials import Judgement, Outcome
from report.judge.verdict import DECIDED, Verdict

RULE = (
    "REPRODUCED if every part is; NOT REPRODUCED if every part is; PARTIAL if all are decided and differ; otherwise as its "
    "parts where these agree, else INCONCLUSIVE"
)


def judge_compound(claim: Claim, verdicts: Mapping[str, Verdict]) -> Judgement:
    """The outcome of CLAIM from the VERDICTS on its parts, of which none is a compound itself.

    It needs no further share of the error rate: all parts must hold, and each is tested at its own.
    """
    parts = [verdicts[id] for id in claim.parts]
    outcomes = [part.outcome for part in parts]
    waiting = all(outcome is Outcome.NOT_TESTED for outcome in outcomes)
    listed = tuple(part.reasons[0] for part in parts) if waiting else ()
    words = ", ".join(f"{part.claim.id} {part.printed}" for part in parts)
    return _outcome(outcomes), tuple(dict.fromkeys(listed)) or (words,)


def _outcome(outcomes: Sequence[Outcome]) -> Outcome:
    if len(set(outcomes)) == 1:
        return outcomes[0]
    return Outcome.PARTIAL if set(outcomes) <= set(DECIDED) else Outcome.INCONCLUSIVE
