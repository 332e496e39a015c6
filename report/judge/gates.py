"""What stands before a claim's own rule: are there runs, may they be compared, and what must a reader know of them?"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from experiments.spec import ConfigurationError, Record, State
from report.cells import COMPUTING, FIDELITY, CellEvidence, differing_settings, setting_of, settings_of
from report.judge.claims import Claim, ClaimKind
from report.judge.trials import Judgement, Outcome, Trial, cell_names, missing_text, numbers_of
from report.sentences import Numbers, Sentence, price_text
from report.words import in_words

NOT_RECORDED = "not recorded"
COMPARING = (ClaimKind.DIRECTION, ClaimKind.TREND, ClaimKind.EQUIVALENCE)  # cells of ours with each other
_LISTED = 4
TOLD = ("precision",)  # settings in which runs may differ from the original's and still be compared with its values
_FAIR = tuple(name for name in FIDELITY if name not in COMPUTING)  # in which cells must agree to be compared


@dataclass(frozen=True)
class Deviation:
    """A setting in which our runs differ from the original's, as text."""

    setting: str
    original: str
    ours: str

    @property
    def text(self) -> str:
        """`epochs 5 (original 200)`."""
        return f"{in_words(self.setting)} {self.ours} (original {self.original})"


def deviations_from(claim: Claim, records: tuple[Record, ...]) -> tuple[Deviation, ...]:
    """The settings of the claim's protocol that the records do not share."""
    if claim.protocol is None or not records:
        return ()
    return tuple(
        Deviation(name, setting_text(wanted), settings_text(records, name))
        for name, wanted in claim.protocol.settings.items()
        if any(setting_of(record, name, NOT_RECORDED) != wanted for record in records)
    )


def settings_text(records: Iterable[Record], name: str, between: str = ", ") -> str:
    """A setting in all RECORDS for a reader, several values listed; empty without records."""
    return between.join(sorted({setting_text(value) for value in settings_of(records, name, NOT_RECORDED)}))


def setting_text(value: Any) -> str:
    """A setting for a reader: `0.001`, `none`, `keras`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "none" if value is None else str(value)
    text = f"{value:,}" if isinstance(value, int) else f"{value:,.15g}"  # no digit that a person has written is lost
    if "e" in text:
        text = re.sub(r"e([+-])0?", r"e\1", text).replace("e+", "e")
    return text.replace("-", "\N{MINUS SIGN}")


def gate(claim: Claim, trial: Trial, deviations: tuple[Deviation, ...]) -> Judgement | None:
    """The outcome that the gates of evidence and protocol give; None where the claim's own rule decides."""
    if not trial.records:
        return Outcome.NOT_TESTED, (_explain_waiting(claim, trial),)
    mixed = tuple(f"{cell.name}: {cell.why}" for cell in trial.cells if cell.state is State.NOT_COMPARABLE)
    if mixed:
        return Outcome.NOT_COMPARABLE, mixed
    unlike = differing_settings(trial.cells, _FAIR) if claim.kind in COMPARING else {}
    if unlike:
        found = "; ".join(f"{name} {', '.join(values)}" for name, values in unlike.items())
        return Outcome.NOT_COMPARABLE, (f"the cells that the rule compares differ in {found}",)
    if any(_is_fatal(claim, item) for item in deviations):
        told = _list(deviations, numbers_of(claim, trial.cells))
        return Outcome.NOT_COMPARABLE, (Sentence("our runs differ from the original's in ", told),)
    if claim.kind is not ClaimKind.COUNT and any(cell.is_rehearsal for cell in trial.cells):
        return Outcome.NOT_COMPARABLE, ("a rehearsal decides nothing",)
    if trial.unlike:
        return Outcome.NOT_COMPARABLE, (trial.unlike,)
    if trial.judge is None or trial.shortage:
        return Outcome.INCONCLUSIVE, (trial.shortage, *reservations(claim, trial, deviations))
    return None


def refuse_unlike_plans(claim: Claim, cells: tuple[CellEvidence, ...]) -> None:
    """Raises ConfigurationError where the compared CELLS are planned under unlike settings: no run would decide it."""
    if claim.kind not in COMPARING:
        return
    for name in _FAIR:
        planned = dict.fromkeys(setting_text(cell.parameters[name]) for cell in cells if name in cell.parameters)
        if len(planned) > 1:
            raise ConfigurationError(
                f"claims.yaml: claims.{claim.id}: the cells that its rule compares are planned with "
                f"{in_words(name)} {' and '.join(planned)}, and would be {Outcome.NOT_COMPARABLE}; name or plan cells that "
                f"agree in {', '.join(map(in_words, _FAIR))}"
            )


def too_few_seeds(claim: Claim, cells: tuple[CellEvidence, ...]) -> str:
    """That the plan has fewer runs of one of the CELLS than the claim's rule asks for; empty where it has enough."""
    few = min(cells, key=lambda cell: cell.planned, default=None)
    if claim.kind is ClaimKind.COUNT or few is None or few.planned >= claim.min_seeds:
        return ""
    return (
        f"claims.yaml: claims.{claim.id}: {few.name} is planned with {few.planned} of the {claim.min_seeds} seeds that "
        f"min_seeds asks for, so that the claim stays {Outcome.INCONCLUSIVE}: plan more, or state now that fewer do"
    )


def _is_fatal(claim: Claim, deviation: Deviation) -> bool:
    """Whether a claim cannot be judged for DEVIATION; another arithmetic alone is told and no more."""
    if claim.kind in COMPARING:
        return deviation.setting in claim.essential
    return deviation.setting not in TOLD


def _explain_waiting(claim: Claim, trial: Trial) -> str:
    """Why nothing is measured: what is stale, failed or gated before what merely waits."""
    special = [cell for cell in trial.cells if cell.state is not State.PENDING]
    waiting = price_text((status for cell in trial.cells for status in cell.statuses), f"price/{claim.id}")
    return "; ".join(f"{cell.name}: {cell.why}" for cell in special) or (waiting if trial.cells else trial.shortage)


def reservations(claim: Claim, trial: Trial, deviations: tuple[Deviation, ...]) -> tuple[str, ...]:
    """What a reader must know of how the runs that were judged came about."""
    words = "otherwise than the original" if claim.kind in COMPARING else "in another arithmetic"
    deviations = () if claim.is_beyond else deviations
    missing = missing_text(claim, trial.cells) if claim.kind is not ClaimKind.COUNT and not trial.shortage else ""
    return (
        *((Sentence(f"{words}: ", _list(deviations, numbers_of(claim, trial.cells))),) if deviations else ()),
        *_other_computing(claim, trial),
        *((missing,) if missing else ()),
        *((trial.unjudged,) if trial.unjudged else ()),
        *_equal_runs(claim, trial),
    )


def _other_computing(claim: Claim, trial: Trial) -> tuple[str, ...]:
    """In what the computing of the compared cells differs, unless the claim is about just that."""
    if claim.kind not in COMPARING:
        return ()
    asked = {*claim.better, *claim.cell} & {*claim.worse, *claim.reference} | {claim.along}
    found = differing_settings(trial.cells, COMPUTING)
    return tuple(f"the cells differ in {name}: {_by_value(trial, name)}" for name in found if name not in asked)


def _by_value(trial: Trial, setting: str) -> str:
    """Which cells have which value of SETTING: `native at kernel size 3, 5; plain at kernel size 7`."""
    names, found = cell_names(trial.cells), dict[str, list[str]]()
    for cell in filter(lambda cell: cell.records, trial.cells):
        found.setdefault(settings_text(cell.records, setting, " and "), []).append(names[cell.name])
    return "; ".join(f"{value} at {_joined(cells)}" for value, cells in found.items())


def _joined(names: list[str]) -> str:
    """NAMES with what all of them begin with said once: `kernel size 3, 5`."""
    first = names[0].rpartition(" ")[0]
    if first and all(name.rpartition(" ")[0] == first for name in names):
        return f"{first} {', '.join(name.rpartition(' ')[2] for name in names)}"
    return ", ".join(names)


def _equal_runs(claim: Claim, trial: Trial) -> tuple[str, ...]:
    """That a spread was not seen but taken from the number of test images."""
    if claim.kind is ClaimKind.COUNT:
        return ()
    names = cell_names(trial.cells)
    found = [names[cell.name] for cell in trial.cells if cell.is_without_spread and cell.test_images]
    if not found:
        return ()
    equal = f"the runs of {', '.join(found)} are exactly equal: check that their seeds differ"
    return (f"{equal}; the binomial error of the test images stands for their spread",)


def _list(deviations: tuple[Deviation, ...], numbers: Numbers) -> Sentence:
    """The first deviations in full and how many more there are; all of them stand in the table of settings."""
    few = deviations if len(deviations) <= _LISTED else deviations[: _LISTED - 1]
    text = ", ".join(item.text for item in few)
    if few == deviations:
        return Sentence(text)
    more = numbers.count("more-deviations", len(deviations) - len(few), "further settings that are not the original's")
    return Sentence(f"{text} and ", more, " more settings")
