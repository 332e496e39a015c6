"""What became of a claim, with all that a page says of it: outcome, reasons, numbers, and how far it can be trusted."""

from collections.abc import Mapping
from dataclasses import dataclass

from report.judge.claims import Claim
from report.judge.gates import TOLD, Deviation
from report.judge.robustness import Robustness
from report.judge.rule_history import RuleHistory
from report.judge.trials import Outcome
from report.quantities import Quantity
from report.sentences import Numbers, Sentence

DECIDED = (Outcome.REPRODUCED, Outcome.PARTIAL, Outcome.NOT_REPRODUCED)
_UNTRIED, _UNKNOWN = Robustness(), RuleHistory()
_BEYOND = {
    Outcome.REPRODUCED: "shown",
    Outcome.PARTIAL: "shown in part",
    Outcome.NOT_REPRODUCED: "shown not to hold",
}


@dataclass(frozen=True)
class Verdict:
    """A claim's outcome with the reasons, the rule that led to it, and the numbers it rests on.

    For a direction, a trend or an equivalence `ours` is a difference (and `reported`, where one is quoted); for values
    `difference` is ours minus reported. `probability` is the one-sided p after Holm, `prediction` our mean with the
    interval for one more run, `detectable` the smallest effect or margin that the runs would have shown with a chance
    of 80 %. `sensitivity` says what the outcome would have been under other margins, `robustness` without single runs,
    `support` what else the runs say, `settling` what would settle it, `history` whether its rule is older than they,
    `span` between which levels an effect is printed that is judged over more. `runs` are those that it was judged on.
    """

    claim: Claim
    outcome: Outcome
    reasons: tuple[str, ...]
    rule: str
    reported: Quantity | None = None
    ours: Quantity | None = None
    difference: Quantity | None = None
    probability: Quantity | None = None
    deviations: tuple[Deviation, ...] = ()
    sensitivity: tuple[tuple[str, Outcome], ...] = ()
    prediction: Quantity | None = None
    detectable: Quantity | None = None
    robustness: Robustness = _UNTRIED
    support: tuple[str, ...] = ()
    settling: str = ""
    history: RuleHistory = _UNKNOWN
    span: str = ""
    runs: tuple[str, ...] = ()

    def _say(self, outcome: Outcome) -> str:
        """OUTCOME in the words of the claim: nothing is reproduced of one that goes beyond the paper."""
        return _beyond(outcome) if self.claim.is_beyond else outcome.value

    @property
    def printed(self) -> Outcome | str:
        """What a page prints: the outcome, or where the claim goes beyond the paper `shown` and its like: nothing of it is reproduced."""
        return _beyond(self.outcome) if self.claim.is_beyond else self.outcome

    @property
    def is_main(self) -> bool:
        """Whether the report's title and summary depend on it."""
        return self.claim.main and not self.claim.is_beyond

    @property
    def is_tested(self) -> bool:
        """Whether any run speaks to the claim."""
        return self.outcome is not Outcome.NOT_TESTED

    @property
    def is_decided(self) -> bool:
        """Whether the claim was reproduced, in part or not at all."""
        return self.outcome in DECIDED

    @property
    def is_on_another_protocol(self) -> bool:
        """Whether its runs differ from the original's in more than what is told and no more, as another precision is."""
        return any(deviation.setting not in TOLD for deviation in self.deviations)

    @property
    def is_reduced(self) -> bool:
        """Whether it was decided under another protocol than the original's, about which it then says nothing."""
        return not self.claim.is_beyond and self.is_decided and self.is_on_another_protocol

    @property
    def reservation(self) -> str:
        """What stands after the outcome wherever the verdict is printed; empty where it was decided as the original was."""
        return " under a reduced protocol" if self.is_reduced else ""

    @property
    def quantities(self) -> tuple[Quantity, ...]:
        """The numbers that the verdict rests on."""
        return tuple(q for q in (self.reported, self.ours, self.difference, self.probability) if q is not None)

    @property
    def notes(self) -> tuple[str, ...]:
        """How far to trust the verdict, in words: power, margins, single runs, other tests, what would settle it."""
        notes = (
            _power_text(self.detectable),
            *self._margin_notes,
            self.stability,
            *self.support,
            self.settling,
        )
        return tuple(note for note in (*notes, self.history.note) if note)

    @property
    def why(self) -> str:
        """The first of the reasons: what the rule, or a gate before it, found."""
        return self.reasons[0]

    @property
    def besides(self) -> tuple[str, ...]:
        """The other reasons: what a reader must know of the runs."""
        return self.reasons[1:]

    @property
    def stability(self) -> str:
        """Whether it depends on single runs, in words: `the same whichever of the 9 runs is left out`."""
        return self.robustness.told(self._say, Numbers(f"claim/{self.claim.id}", self.runs))

    @property
    def _margin_notes(self) -> tuple[str, ...]:
        """What other margins would give."""
        if not self.sensitivity:
            return ()
        if all(outcome is self.outcome for _, outcome in self.sensitivity):
            return (f"the same with {' or '.join(words for words, _ in self.sensitivity)}",)
        return tuple(f"with {words}: {self._say(outcome)}" for words, outcome in self.sensitivity)


def _beyond(outcome: Outcome) -> str:
    return _BEYOND.get(outcome, outcome.value.lower())


def _power_text(detectable: Quantity | None) -> str:
    if detectable is None or detectable.value is None:
        return ""
    return Sentence(f"{detectable.aggregate}: ", detectable)


def title_prefix(verdicts: Mapping[str, Verdict]) -> str:
    """ReScience's prefix: [¬Re] where more main claims failed than held in full or part, [Re] where not.

    Empty while no main claim is decided under the original's protocol: five epochs refute nothing of two hundred.
    """
    main = [verdict for verdict in verdicts.values() if verdict.is_main]
    decided = [verdict.outcome for verdict in main if verdict.is_decided and not verdict.is_reduced]
    if not decided:
        return ""
    failed = decided.count(Outcome.NOT_REPRODUCED)
    return "[¬Re]" if failed > len(decided) - failed else "[Re]"
