"""Was a claim's rule fixed before the runs that it judges? Told from the digests that records keep."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from experiments.record_fields import RULES
from experiments.spec import Record, State
from experiments.status import RunStatus
from report.judge.claims import Claim
from report.sentences import Numbers, Sentence, counted


@dataclass(frozen=True)
class RuleHistory:
    """Of the `records` that a claim is judged on: made under another rule, before there was one, or not saying.

    `commits` are those of the last, of which git may know the rule, `made_at` those of all; `numbers` makes those of its
    words.
    """

    records: int = 0
    changed: int = 0
    younger: int = 0
    unrecorded: int = 0
    commits: tuple[str, ...] = field(default=(), compare=False)
    made_at: tuple[str, ...] = field(default=(), compare=False)
    numbers: Numbers = field(default=Numbers("rule", ()), compare=False)

    @property
    def warnings(self) -> tuple[str, ...]:
        """That the rule was not fixed before the runs."""
        least = "at least " if self.unrecorded else ""  # runs that do not say may be others of the kind
        parts = (("changed", self.changed, "changed"), ("written", self.younger, "younger"))
        return tuple(
            Sentence(f"its rule was {what} after {least}", self._share(part, name))
            for what, part, name in parts
            if part
        )

    @property
    def note(self) -> str:
        """That records do not say by which rule they were to be judged; empty where all do."""
        if not self.unrecorded:
            return ""
        were = "was" if self.unrecorded == 1 else "were"
        return Sentence(self._share(self.unrecorded, "unrecorded"), f" {were} recorded without the rule's digest")

    def _share(self, part: int, name: str) -> Sentence:
        what = {
            "changed": "runs after which the rule was changed",
            "younger": "runs after which the rule was written",
            "unrecorded": "runs recorded without the rule's digest",
        }[name]
        every = self.numbers.count("records", self.records, "records that the claim is judged on")
        return Sentence(self.numbers.count(name, part, what), " of ", counted(every, "run"))


def rule_history(claim: Claim, records: Iterable[Record]) -> RuleHistory:
    """How the RECORDS stand to the rule of CLAIM as it is today; nothing is known of a claim without a digest."""
    unique = {record.run: record for record in records} if claim.digest else {}
    kept = [record.provenance.get(RULES) for record in unique.values()]
    made_at = [record.provenance["commit"] for record in unique.values()]
    commits = [commit for commit, rules in zip(made_at, kept, strict=True) if rules is None]
    known = [rules.get(claim.id) for rules in kept if rules is not None]
    younger = known.count(None)
    changed = len(known) - younger - known.count(claim.digest)
    numbers = Numbers(f"claim/{claim.id}", tuple(unique))
    told_at = (tuple(filter(None, commits)), tuple(filter(None, made_at)))
    return RuleHistory(len(kept), changed, younger, len(kept) - len(known), *told_at, numbers)


def named_otherwise(claim: Claim, records: Iterable[Record]) -> Iterator[Record]:
    """The RECORDS that keep another rule of CLAIM than today's."""
    for record in records:
        kept = (record.provenance.get(RULES) or {}).get(claim.id)
        if kept is not None and kept != claim.digest:
            yield record


def taken_out(claims: Mapping[str, Claim], statuses: Iterable[RunStatus]) -> Iterator[tuple[str, int]]:
    """(claim, how many runs) of each claim from whose group runs that were to be judged by it were taken: they count still."""
    counts: dict[str, int] = {}
    for status in statuses:
        if status.state is State.MEASURED and status.record is not None:
            for id in (status.record.provenance.get(RULES) or {}).keys() & claims.keys():
                if claims[id].group is not None and claims[id].group not in status.run.groups:
                    counts[id] = counts.get(id, 0) + 1
    yield from sorted(counts.items())


def withdrawn(claims: Mapping[str, Claim], records: Iterable[Record]) -> Iterator[tuple[str, int]]:
    """(claim, how many runs) of each claim that records name and that is no more: it was taken away after them."""
    counts: dict[str, int] = {}
    for record in records:
        for id in (record.provenance.get(RULES) or {}).keys() - claims.keys():
            counts[id] = counts.get(id, 0) + 1
    yield from sorted(counts.items())
