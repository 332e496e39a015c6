"""A number becomes text in one place, says what it is, and is never printed where it is not measured."""

import math

import pytest

from experiments.spec import ReproductionError, State
from report.quantities import Fidelity, Kind, Parts, Quantity, Registry, Spread, Tier, count, spell

THREE_RUNS = Quantity(
    "earlier-5/cell/test_accuracy",
    Kind.ACCURACY,
    0.712345,
    spread=Spread(0.708245, 0.716445, 0.00165),
    n=3,
    planned=3,
    fidelity=Fidelity("cifar10", 5, "keras", "fp32", 45_000),
    origin=("cell-s0", "cell-s1", "cell-s2"),
    aggregate="mean of the last epoch's test accuracy",
    tier=Tier.RUN_HERE,
)


def test_an_accuracy_is_per_cent_with_two_decimals_its_interval_and_n() -> None:
    assert THREE_RUNS.parts == Parts(
        value="71.23",
        unit="%",
        spread="± 0.41",
        n="n = 3",
        state="measured",
        tier="run here",
    )
    assert THREE_RUNS.details == (
        ("What", "mean of the last epoch's test accuracy"),
        ("Interval", "± 0.41 %, 95 % t interval of the mean"),
        ("Standard deviation", "0.17 %"),
        ("Runs", "n = 3"),
        ("Settings", "cifar10, 5 epochs, recipe keras, fp32, 45,000 training images"),
        ("Origin", "run here: cell-s0, cell-s1, cell-s2"),
    )
    assert THREE_RUNS.parts.text == "71.23 ± 0.41 % (n = 3)"


def test_a_pending_quantity_prints_its_state_and_says_the_price() -> None:
    why = "3 runs to come, about 0.52 h (a guess)"
    pending = Quantity("a/b", Kind.ACCURACY, None, State.PENDING, planned=3, why=why)
    assert pending.parts == Parts(
        value="pending",
        unit="",
        spread="",
        n="",
        state="pending",
        tier="computed",
    )
    assert pending.details == (("State", "pending: 3 runs to come, about 0.52 h (a guess)"), ("Origin", "computed"))


@pytest.mark.parametrize("state", [state for state in State if state is not State.MEASURED])
def test_no_state_but_measured_lets_a_number_through(state: State) -> None:
    assert Quantity("a/b", Kind.COUNT, None, state, why="because").parts.text == state.value
    with pytest.raises(ReproductionError) as caught:
        Quantity("a/b", Kind.COUNT, 3.0, state, why="because")
    assert str(caught.value) == (
        f"quantity 'a/b' is {state.value} and yet has the value 3.0: only a measured quantity may be printed as a "
        "number"
    )


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_a_measured_quantity_needs_a_finite_value(value: float | None) -> None:
    with pytest.raises(ReproductionError, match=f"quantity 'a/b' is measured but its value is {value!r}"):
        Quantity("a/b", Kind.ACCURACY, value)


def test_a_quantity_without_value_must_say_why() -> None:
    with pytest.raises(ReproductionError, match="quantity 'a/b' is stale and does not say why"):
        Quantity("a/b", Kind.ACCURACY, None, State.STALE)


@pytest.mark.parametrize("n", [None, 1])
def test_a_spread_needs_two_runs(n: int | None) -> None:
    with pytest.raises(ReproductionError, match=f"quantity 'a/b' has a spread from n = {n!r}: ± needs at least two"):
        Quantity("a/b", Kind.ACCURACY, 0.5, spread=Spread(0.4, 0.6), n=n)


def test_n_says_how_many_runs_are_still_to_come() -> None:
    one_of_three = Quantity("a/b", Kind.ACCURACY, 0.5, n=1, planned=3, why="2 runs to come")
    assert one_of_three.parts.text == "50.00 % (n = 1 of 3)"
    assert one_of_three.details[-2] == ("State", "measured: 2 runs to come")


def test_a_quoted_value_keeps_the_decimals_of_its_source() -> None:
    quoted = Quantity("original/x", Kind.ACCURACY, 0.828, tier=Tier.QUOTED, quoted="82.8", origin=("Figure 3",))
    assert quoted.parts.text == "82.8 %"
    assert quoted.details == (("Origin", "quoted: Figure 3"),)


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (Kind.ACCURACY, 0.926, "92.60 %"),
        (Kind.ACCURACY, 1.0, "100.00 %"),
        (Kind.SHARE, 0.0123, "1.23 %"),
        (Kind.DIFFERENCE, 0.01234, "+1.23 pp"),
        (Kind.DIFFERENCE, -0.01234, "\N{MINUS SIGN}1.23 pp"),
        (Kind.DIFFERENCE, -0.00001, "0.00 pp"),
        (Kind.COUNT, 12_345.0, "12,345"),
        (Kind.PARAMETERS, 559_114.0, "559,114"),
        (Kind.SECONDS, 9.876, "9.9 s"),
        (Kind.SECONDS, 1234.56, "1,235 s"),
        (Kind.HOURS, 0.523, "0.52 h"),
        (Kind.HOURS, 122.33, "122.3 h"),
        (Kind.MEMORY, 1894.4, "1,894 MiB"),
        (Kind.PROBABILITY, 0.0123, "0.012"),
        (Kind.PROBABILITY, 0.0496, "0.0496"),
        (Kind.PROBABILITY, 0.0503, "0.0503"),
        (Kind.PROBABILITY, 0.00012, "< 0.001"),
        (Kind.NUMBER, 0.001, "0.001"),
        (Kind.NUMBER, 1e-7, "0.0000001"),
        (Kind.NUMBER, 128.0, "128"),
        (Kind.NUMBER, 45_000.0, "45,000"),
        (Kind.NUMBER, 1_171_875.0, "1,171,875"),
        (Kind.NUMBER, -0.5, "\N{MINUS SIGN}0.5"),
    ],
)
def test_every_kind_has_its_own_spelling(kind: Kind, value: float, text: str) -> None:
    assert spell(kind, value) == text
    assert Quantity("a/b", kind, value).parts.text == text


@pytest.mark.parametrize(
    ("kind", "value", "half", "text"),
    [
        (Kind.SECONDS, 600.0, 0.04, "600 ± 0 s (n = 3)"),
        (Kind.SECONDS, 9.0, 123.4, "9.0 ± 123.4 s (n = 3)"),
        (Kind.NUMBER, 0.851234567, 0.0123456, "0.8512 ± 0.0123 (n = 3)"),
        (Kind.NUMBER, 12345.678, 9.87, "12,346 ± 10 (n = 3)"),
        (Kind.NUMBER, 0.0, 0.5, "0.000 ± 0.500 (n = 3)"),
        (Kind.NUMBER, -12.0, 0.5, "\N{MINUS SIGN}12.00 ± 0.50 (n = 3)"),
    ],
)
def test_a_mean_and_its_interval_have_the_same_decimals(kind: Kind, value: float, half: float, text: str) -> None:
    mean = Quantity("a/b", kind, value, spread=Spread(value - half, value + half), n=3)
    assert mean.parts.text == text


def test_a_lopsided_interval_is_printed_by_its_bounds() -> None:
    lopsided = Quantity("a/b", Kind.ACCURACY, 0.5, spread=Spread(0.45, 0.52), n=2)
    assert lopsided.parts.spread == "[45.00, 52.00]"
    longer = Quantity("a/b", Kind.SECONDS, 110.0, spread=Spread(99.0, 130.0), n=2)
    assert longer.parts.text == "110 [99, 130] s (n = 2)"  # decimals as the value beside them


def test_an_interval_of_a_negative_difference_has_no_sign() -> None:
    negative = Quantity("a/b", Kind.DIFFERENCE, -0.02, spread=Spread(-0.03, -0.01), n=2)
    assert negative.parts.text == "\N{MINUS SIGN}2.00 ± 1.00 pp (n = 2)"


def test_fidelity_of_a_quoted_value_leaves_out_what_is_not_known() -> None:
    assert Fidelity("cifar10", 1).words == "cifar10, 1 epoch"


def test_the_registry_remembers_what_was_printed_by_id() -> None:
    registry = Registry()
    for id in ("b", "a", "b"):
        assert registry.add(count(id, 3, "things")) == count(id, 3, "things")
    assert [quantity.id for quantity in registry.printed] == ["a", "b"]


def test_the_registry_refuses_two_numbers_under_one_id() -> None:
    registry = Registry()
    registry.add(count("a", 3, "things"))
    with pytest.raises(ReproductionError, match="two different quantities are called 'a': '3' and '4'; give each"):
        registry.add(count("a", 4, "things"))


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (2, "computed: run-0, run-1"),
        (500, "computed: run-0 to run-499, 500 in all; provenance.json lists them"),
    ],
)
def test_many_origins_are_not_listed_on_a_page(number: int, text: str) -> None:
    origin = tuple(f"run-{index}" for index in range(number))
    assert Quantity("a/b", Kind.COUNT, 1.0, origin=origin).details == (("Origin", text),)
