"""What others reported, as original.csv quotes it: each number with its source and how certain it is."""

import csv
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from experiments.naming import Naming
from experiments.reading import read_text
from experiments.spec import ConfigurationError, FrozenMapping, State
from report.cells import FIDELITY
from report.fields import is_number, is_whole, line, refuse
from report.quantities import Fidelity, Kind, Quantity, Tier
from report.unknown import UnknownName

PAPER = "paper"
EARLIER = "earlier report"
PREFIXES = ("", "more than", "at least")
_DECIMAL = re.compile(r"[0-9]{1,15}(\.[0-9]{1,15})?")  # it is printed as it stands
CSV_COLUMNS = (
    "id",
    "who",
    "prefix",
    "accuracy_pct",
    "parameters_thousands",
    "dataset",
    "cell",
    "epochs",
    "recipe",
    "train_images",
    "source",
    "certainty",
    "note",
)


@dataclass(frozen=True)
class Quoted:
    """One row of original.csv: a result that others reported, as they print it. Fields are the file's columns."""

    id: str
    who: str
    prefix: str
    accuracy_pct: str
    parameters_thousands: str
    dataset: str
    cell: Mapping[str, int | float | str]
    epochs: int | None
    recipe: str
    train_images: int | None
    source: str
    certainty: str
    note: str
    usual: Mapping[str, Any] = FrozenMapping()
    sizes: frozenset[str] = frozenset()

    @property
    def is_bound(self) -> bool:
        """Whether the number is `more than` or `at least` so much: no value that a distance could be taken from."""
        return bool(self.prefix)

    def fits(self, parameters: Mapping[str, Any]) -> bool:
        """Whether it is an accuracy of the very network of these PARAMETERS, on their data set.

        A row that leaves one of `sizes` unnamed may be of another network and fits none; of `usual`, what it leaves
        unnamed is as usual.
        """
        return (
            bool(self.accuracy_pct)
            and self.sizes <= self.cell.keys()
            and all(parameters.get(name) == value for name, value in self.cell.items())
            and all(parameters.get(name, value) == value for name, value in self.usual.items() if name not in self.cell)
            and self.is_on(parameters.get("dataset"))
        )

    def is_on(self, dataset: Any) -> bool:
        """Whether it is a result on DATASET as a plan calls it: `CIFAR-10` is `cifar10`."""
        return isinstance(dataset, str) and _letters(self.dataset) == _letters(dataset)

    @property
    def accuracy(self) -> Quantity:
        """The accuracy, printed as it was quoted."""
        if not self.accuracy_pct:
            raise ConfigurationError(f"original.csv: {self.id!r} quotes no accuracy")
        text = f"{self.prefix} {self.accuracy_pct}".strip()
        return self._quantity("accuracy", Kind.ACCURACY, float(self.accuracy_pct) / 100, text)

    @property
    def _thousands(self) -> str:
        """The quoted count as it is written; ConfigurationError where there is none."""
        if not self.parameters_thousands:
            raise ConfigurationError(f"original.csv: {self.id!r} quotes no parameter count")
        return self.parameters_thousands

    @property
    def parameters(self) -> Quantity:
        """The parameter count, in thousands as it was quoted; a prefix is the accuracy's, where the row has one."""
        thousands = self._thousands
        text = thousands if self.accuracy_pct else f"{self.prefix} {thousands}".strip()
        return self._quantity("parameters", Kind.PARAMETERS, 1000 * float(thousands), f"{text} k")

    def counts(self, parameters: float) -> bool:
        """Whether PARAMETERS is the quoted count: no further from it than half of its last digit."""
        return abs(Decimal(parameters) / 1000 - Decimal(self._thousands)) <= _half_of_last_digit(self._thousands)

    @property
    def rounding(self) -> float:
        """How far the accuracy may have been from what is quoted of it, as a fraction: half of its last digit."""
        return float(_half_of_last_digit(self.accuracy_pct)) / 100

    def _quantity(self, what: str, kind: Kind, value: float, text: str) -> Quantity:
        fidelity = Fidelity(self.dataset, self.epochs, self.recipe or None, None, self.train_images)
        note = "; ".join(part for part in (self.certainty, self.note) if part)
        return Quantity(
            f"original/{self.id}/{what}",
            kind,
            value,
            State.MEASURED,
            fidelity=fidelity,
            origin=(self.source,),
            aggregate=f"{what} reported by: {self.who} ({note})",
            tier=Tier.QUOTED,
            quoted=text,
        )


def _half_of_last_digit(text: str) -> Decimal:
    return Decimal("0.5").scaleb(int(Decimal(text).as_tuple().exponent))


def _letters(name: str) -> str:
    """The letters and digits of NAME, small."""
    return "".join(character for character in name.lower() if character.isalnum())


def find_quoted(
    original: Mapping[str, Quoted], who: str, cell: Mapping[str, Any], epochs: int | None = None
) -> Quoted | None:
    """The first accuracy that WHO reports for the network of CELL (after EPOCHS, if given), if any.

    Raises UnknownName where there are rows and none of WHO, unless that is the paper or an earlier report.
    """
    people = dict.fromkeys(row.who for row in original.values())
    if people and who not in (PAPER, EARLIER, *people):
        raise UnknownName(f"original.csv has no row of {who!r}; it has those of {', '.join(people)}")
    fitting = (row for row in original.values() if row.who == who and row.fits(cell) and epochs in (None, row.epochs))
    return next(fitting, None)


def read_original(path: Path, naming: Naming | None = None) -> dict[str, Quoted]:
    """The rows of PATH by id; by NAMING, the plan's, they are matched with runs.

    What stands in every run's name tells networks apart, but for the settings of a value's fidelity; what rarely
    varies is as usual in a row that does not name it.

    Raises ConfigurationError with file and line for an unknown column or a bad value.
    """
    try:
        lines = {n: line for n, line in enumerate(read_text(path).splitlines(True), 1) if not line.startswith("#")}
        rows, numbers = csv.DictReader(lines.values()), list(lines)
        if tuple(rows.fieldnames or ()) != CSV_COLUMNS:
            refuse(f"{path.name}: columns", list(rows.fieldnames or ()), f"exactly {', '.join(CSV_COLUMNS)}")
        listed = [_quoted(row, naming, f"{path.name}:{numbers[rows.line_num - 1]}") for row in rows]
    except csv.Error as error:
        raise ConfigurationError(f"{path.name}: this is no CSV: {error}") from error
    found: dict[str, Quoted] = {}
    for quoted in listed:
        if quoted.id in found:
            raise ConfigurationError(f"{path.name}: the id {quoted.id!r} stands twice; give each row its own")
        found[quoted.id] = quoted
    return found


def _quoted(row: Mapping[str, Any], naming: Naming | None, place: str) -> Quoted:
    if None in row or None in row.values():
        found = "more" if None in row else "fewer"
        raise ConfigurationError(f"{place}: {row['id']!r} has {found} than {len(CSV_COLUMNS)} fields; quote its commas")
    for name in ("id", "who", "dataset", "source", "certainty"):
        line(row[name], f"{place}: {name}")
    if row["prefix"] not in PREFIXES:
        refuse(f"{place}: prefix", row["prefix"], " | ".join(map(repr, PREFIXES)))
    for name in ("accuracy_pct", "parameters_thousands"):
        if row[name] and not _DECIMAL.fullmatch(row[name]):
            refuse(f"{place}: {name}", row[name], "a number in digits, such as 91.2, or nothing")
    if row["accuracy_pct"] and not 0 <= float(row["accuracy_pct"]) <= 100:
        refuse(f"{place}: accuracy_pct", row["accuracy_pct"], "per cent, 0 to 100")
    whole = {name: _whole(row[name], f"{place}: {name}") for name in ("epochs", "train_images")}
    cell = _cell(row["cell"], f"{place}: cell")
    if naming is None:
        return Quoted(**{**row, **whole, "cell": cell})
    sizes = naming.named - set(FIDELITY)
    return Quoted(**{**row, **whole, "cell": cell, "usual": FrozenMapping(naming.usual), "sizes": sizes})


def _cell(text: str, place: str) -> Mapping[str, int | float | str]:
    """`width=256 dropout=0.5 activation=relu` as a mapping, numbers as numbers."""
    pairs = [part.partition("=") for part in text.split()]
    if any(not name or not value for name, _, value in pairs):
        refuse(place, text, "name=value pairs, separated by spaces")
    return FrozenMapping({name: _value(value) for name, _, value in pairs})


def _value(text: str) -> int | float | str:
    return int(text) if is_whole(text) else float(text) if is_number(text) else text


def _whole(text: str, place: str) -> int | None:
    if text and not is_whole(text):
        refuse(place, text, "a whole number or nothing")
    return int(text) if text else None
