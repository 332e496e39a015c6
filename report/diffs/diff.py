"""What changed in meaning since a revision: verdicts, numbers, settings, rules, plan, records, prices and text.

Both sides are computed by today's code, the revision's from its own files, the other from the working tree.
"""

from dataclasses import dataclass
from pathlib import Path

from experiments.spec import ConfigurationError, ReproductionError
from report.diffs.changes import Change, Severity, Subject
from report.diffs.conclusion_changes import compare_conclusions
from report.diffs.evidence_changes import compare_evidence
from report.diffs.meaning import Meaning, read_meaning
from report.diffs.revisions import Revision, lay_out

EXIT_CODES = {Severity.NOTE: 0, Severity.EVIDENCE: 6, Severity.CONCLUSION: 3}


@dataclass(frozen=True)
class Difference:
    """The changes since a revision, the most severe first."""

    revision: Revision
    changes: tuple[Change, ...]

    @property
    def severity(self) -> Severity:
        """That of the most severe change; a note where nothing changed."""
        return max((change.severity for change in self.changes), default=Severity.NOTE)

    @property
    def exit_code(self) -> int:
        """3 where a conclusion changed, 6 where what conclusions rest on did, 0 otherwise."""
        return EXIT_CODES[self.severity]

    def of(self, severity: Severity) -> tuple[Change, ...]:
        """The changes of one severity."""
        return tuple(change for change in self.changes if change.severity is severity)


def find_difference(root: Path, name: str) -> Difference:
    """What changed in the repository at ROOT since the revision NAME.

    Raises:
        ConfigurationError: there is no such revision, or today's code cannot read its files.
        MissingTool: git is not there.
        RecordFault: a record of the working tree cannot be trusted.
    """
    after = read_meaning(root)
    with lay_out(root, name) as revision:
        try:
            before = read_meaning(revision.folder)
        except ReproductionError as error:
            raise ConfigurationError(
                f"diff: today's code cannot read the files of revision {name!r}: {error}; name a later revision"
            ) from error
    return Difference(revision, compare(before, after))


def compare(before: Meaning, after: Meaning) -> tuple[Change, ...]:
    """Every change from BEFORE to AFTER, the most severe first, then in the order of `Subject`, claims.yaml and plan."""
    changes = [*compare_conclusions(before, after), *compare_evidence(before, after)]
    order = list(Subject)
    return tuple(sorted(changes, key=lambda change: (-change.severity, order.index(change.subject))))
