"""A printed number: value, spread, n, state, fidelity and origin — and the one place where it becomes text.

Nothing else reaches a page as a number. `Quantity` says what is known, its `parts` put it into words once for every
format, `Registry` remembers what was printed so that each number on a page can be traced to its records.
"""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cached_property

from experiments.spec import ReproductionError, State
from report.words import amount

MINUS = "\N{MINUS SIGN}"
MOST_ORIGINS = 24  # at most this many origins are listed on a page; of more, the first and the last


class Kind(StrEnum):
    """What a number measures; it decides unit and decimals (accuracy and difference are fractions in code)."""

    ACCURACY = "accuracy"  # per cent, two decimals: 0.01 % is one of 10,000 test images
    SHARE = "share"  # per cent of something else, two decimals
    DIFFERENCE = "difference"  # percentage points, signed
    COUNT = "count"
    PARAMETERS = "parameters"
    SECONDS = "seconds"
    HOURS = "hours"
    MEMORY = "memory"  # MiB
    PROBABILITY = "probability"
    NUMBER = "number"


class Tier(StrEnum):
    """Where a number comes from."""

    RUN_HERE = "run here"
    RUN_BY_CI = "run by CI"
    RE_AGGREGATED = "re-aggregated from records"
    QUOTED = "quoted"
    COMPUTED = "computed"


@dataclass(frozen=True)
class Spread:
    """What `±` stands for: the bounds of an interval and, beside it, the standard deviation of the runs."""

    low: float
    high: float
    sd: float | None = None
    kind: str = "95 % t interval of the mean"


@dataclass(frozen=True)
class Fidelity:
    """The settings a value was reached with; None is "not known" and only a quoted value may have it."""

    dataset: str | None = None
    epochs: int | None = None
    recipe: str | None = None
    precision: str | None = None
    train_images: int | None = None

    @property
    def words(self) -> str:
        """The settings for a reader: `cifar10, 5 epochs, recipe keras, fp32, 45,000 training images`."""
        known = (
            self.dataset,
            None if self.epochs is None else amount(self.epochs, "epoch"),
            None if self.recipe is None else f"recipe {self.recipe}",
            self.precision,
            None if self.train_images is None else f"{self.train_images:,} training images",
        )
        return ", ".join(word for word in known if word is not None)


@dataclass(frozen=True)
class Quantity:
    """One number that may be printed, or the reason why there is none yet.

    A measured quantity has a value, every other state has none and says why in `why` (for a pending one its price).
    `planned` is the number of runs wanted where `n` is the number recorded. `quoted` is the source's own spelling of
    a value that others reported: it is printed as it stands, so that no decimal is invented.
    """

    id: str
    kind: Kind
    value: float | None
    state: State = State.MEASURED
    spread: Spread | None = None
    n: int | None = None
    planned: int | None = None
    fidelity: Fidelity | None = None
    origin: tuple[str, ...] = ()
    aggregate: str = ""
    tier: Tier = Tier.COMPUTED
    why: str = ""
    quoted: str = ""

    def __post_init__(self) -> None:
        if self.state is State.MEASURED:
            if self.value is None or not math.isfinite(self.value):
                raise ReproductionError(f"quantity {self.id!r} is measured but its value is {self.value!r}")
        elif self.value is not None:
            raise ReproductionError(
                f"quantity {self.id!r} is {self.state.value} and yet has the value {self.value!r}: only a measured "
                "quantity may be printed as a number"
            )
        if self.state is not State.MEASURED and not self.why:
            raise ReproductionError(f"quantity {self.id!r} is {self.state.value} and does not say why")
        if self.spread is not None and (self.n is None or self.n < 2):
            raise ReproductionError(f"quantity {self.id!r} has a spread from n = {self.n!r}: ± needs at least two runs")

    @property
    def is_measured(self) -> bool:
        """Whether there is a number to print."""
        return self.state is State.MEASURED

    @cached_property
    def parts(self) -> "Parts":
        """The quantity in words: the one place where a number becomes text. A page asks several times for each."""
        return _to_words(self)

    @cached_property
    def details(self) -> tuple[tuple[str, str], ...]:
        """What a reader may ask of the number, in the order of asking: pairs of a label and a text."""
        return _details(self, self.parts.unit, self.parts.spread)


@dataclass(frozen=True)
class Parts:
    """A quantity in words, piece by piece, unescaped; every format's template puts these together.

    `value` is the number, or the state's word where there is none. Two quantities that read alike have equal parts,
    wherever they come from.
    """

    value: str
    unit: str
    spread: str
    n: str
    state: str
    tier: str

    @property
    def text(self) -> str:
        """All of it on one line: `71.23 ± 0.41 % (n = 3)`."""
        words = " ".join(word for word in (self.value, self.spread, self.unit) if word)
        return f"{words} ({self.n})" if self.n else words


def _fixed(value: float, decimals: int, *, signed: bool = False) -> str:
    """VALUE with thousands separators and a real minus sign; zero has no sign."""
    text = f"{value:{'+' if signed else ''},.{decimals}f}"
    if not text.strip("+-0.,"):
        return text.lstrip("+-")
    return text.replace("-", MINUS)


def _exact(value: float) -> str:
    """At most six digits, but all of them before the point, and no exponent: 0.001, 0.4914, 1,171,875."""
    text = f"{value:,.0f}" if abs(value) >= 1e6 else f"{Decimal(f'{value:.6g}'):,f}"
    return text.replace("-", MINUS)


@dataclass(frozen=True)
class _Style:
    """How a kind is printed: its unit, what its values are multiplied by, and decimals by the size of the value."""

    unit: str
    factor: float
    decimals: Callable[[float], int]
    signed: bool = False


_STYLES = {
    Kind.ACCURACY: _Style("%", 100, lambda value: 2),
    Kind.SHARE: _Style("%", 100, lambda value: 2),
    Kind.DIFFERENCE: _Style("pp", 100, lambda value: 2, signed=True),
    Kind.COUNT: _Style("", 1, lambda value: 0),
    Kind.PARAMETERS: _Style("", 1, lambda value: 0),
    Kind.SECONDS: _Style("s", 1, lambda value: 1 if value < 100 else 0),
    Kind.HOURS: _Style("h", 1, lambda value: 2 if value < 10 else 1),
    Kind.MEMORY: _Style("MiB", 1, lambda value: 0),
    Kind.PROBABILITY: _Style(
        "", 1, lambda value: 4 if round(value, 3) == 0.05 else 3
    ),  # on which side of the usual level
    Kind.NUMBER: _Style("", 1, lambda value: max(0, 3 - math.floor(math.log10(value))) if value else 3),
}


def _spell(kind: Kind, value: float, *, beside: float | None = None) -> str:
    """VALUE of KIND without its unit, with the decimals of the value BESIDE which it stands.

    A number of no further kind is spelled exactly, as a setting has to be, unless it stands beside a mean.
    """
    style = _STYLES[kind]
    if kind is Kind.PROBABILITY and value < 0.001:
        return "< 0.001"
    if kind is Kind.NUMBER and beside is None:
        return _exact(value)
    decimals = style.decimals(abs(style.factor * (value if beside is None else beside)))
    return _fixed(style.factor * value, decimals, signed=style.signed)


def _spread_text(quantity: Quantity) -> str:
    """`± 0.41` for an interval around the value, `[0.12, 0.53]` for a lopsided one."""
    spread, value = quantity.spread, quantity.value
    if spread is None or value is None:
        return ""
    above, below = spread.high - value, value - spread.low
    if math.isclose(above, below, rel_tol=1e-6, abs_tol=1e-12):
        return "± " + _spell(quantity.kind, above, beside=value).lstrip("+")
    low, high = (_spell(quantity.kind, bound, beside=value) for bound in (spread.low, spread.high))
    return f"[{low}, {high}]"


def _n_text(quantity: Quantity) -> str:
    if quantity.n is None or not quantity.is_measured:
        return ""
    short = quantity.planned is not None and quantity.planned > quantity.n
    return f"n = {quantity.n:,} of {quantity.planned:,}" if short else f"n = {quantity.n:,}"


def _details(quantity: Quantity, unit: str, spread: str) -> tuple[tuple[str, str], ...]:
    after = f" {unit}" if unit else ""
    sd = None if quantity.spread is None else quantity.spread.sd
    deviation = "" if sd is None else _spell(quantity.kind, sd, beside=quantity.value).lstrip("+") + after
    state = f"{quantity.state.value}: {quantity.why}" if quantity.why else ""
    origin = f": {_listed(quantity.origin)}" if quantity.origin else ""
    said = ("State", state)
    candidates = (
        *(() if quantity.is_measured else (said,)),
        ("What", quantity.aggregate),
        ("Interval", f"{spread}{after}, {quantity.spread.kind}" if quantity.spread else ""),
        ("Standard deviation", deviation),
        ("Runs", _n_text(quantity)),
        ("Settings", quantity.fidelity.words if quantity.fidelity else ""),
        *((said,) if quantity.is_measured else ()),
        ("Origin", quantity.tier.value + origin),
    )
    return tuple((label, text) for label, text in candidates if text)


def _listed(origin: tuple[str, ...]) -> str:
    """The records behind a number, or their first and last where they are many: provenance.json lists them all."""
    if len(origin) <= MOST_ORIGINS:
        return ", ".join(origin)
    return f"{origin[0]} to {origin[-1]}, {len(origin):,} in all; provenance.json lists them"


def _to_words(quantity: Quantity) -> Parts:
    spread, n = _spread_text(quantity), _n_text(quantity)
    if quantity.value is None:
        value, unit = quantity.state.value, ""
    else:
        beside = quantity.value if quantity.n is not None else None
        value = quantity.quoted or _spell(quantity.kind, quantity.value, beside=beside)
        unit = _STYLES[quantity.kind].unit
    return Parts(value, unit, spread, n, quantity.state.value, quantity.tier.value)


def spell(kind: Kind, value: float) -> str:
    """VALUE of KIND with its unit, for text the machine writes itself: `0.50 pp`, `559,114`."""
    unit = _STYLES[kind].unit
    return f"{_spell(kind, value)} {unit}" if unit else _spell(kind, value)


def count(id: str, value: int, aggregate: str, *, origin: Iterable[str] = ()) -> Quantity:
    """A number that the machine counted itself."""
    return Quantity(id, Kind.COUNT, float(value), origin=tuple(origin), aggregate=aggregate)


class Registry:
    """Every quantity that reached a page, by id. One id stands for one number."""

    def __init__(self) -> None:
        self._printed: dict[str, Quantity] = {}

    def add(self, quantity: Quantity) -> Quantity:
        """Remember QUANTITY as printed and give it back.

        Raises ReproductionError where another quantity was printed under the same id.
        """
        known = self._printed.setdefault(quantity.id, quantity)
        if known != quantity:
            raise ReproductionError(
                f"two different quantities are called {quantity.id!r}: {known.parts.text!r} and "
                f"{quantity.parts.text!r}; give each its own id"
            )
        return quantity

    @property
    def printed(self) -> tuple[Quantity, ...]:
        """What was printed, sorted by id."""
        return tuple(self._printed[id] for id in sorted(self._printed))
