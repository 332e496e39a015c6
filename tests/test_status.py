"""The state of each run, its reason and its price."""

from pathlib import Path

import pytest

from experiments.ledger import Ledger
from experiments.plan import load_plan
from experiments.prices import Basis, Price, Prices, reservation, rough_hours, rough_time
from experiments.spec import State
from experiments.status import RunStatus, statuses
from tests.small_repository import COST, PLAN, PROVENANCE, edit, make_record, make_repository, open_repository


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository in which `tiny-z4-s0` needs a CUDA device and `tiny-z2-s0` is recorded."""
    root = make_repository(tmp_path / "root", PLAN.replace("    grid:", "    needs: cuda\n    grid:"))
    Ledger(root / "experiments").save(make_record(root, "tiny-z2-s0"))
    return root


def look(root: Path, name: str, **options: object) -> RunStatus:
    plan, ledger = open_repository(root)
    return {status.run.name: status for status in statuses(plan, ledger, root, **options)}[name]


def test_every_planned_run_has_a_status_in_the_plans_order(root: Path) -> None:
    plan, ledger = open_repository(root)
    assert [status.run.name for status in statuses(plan, ledger, root)] == list(plan.runs)


def test_a_recorded_run_is_measured(root: Path) -> None:
    status = look(root, "tiny-z2-s0")
    assert (status.state, status.why, status.record) == (State.MEASURED, "", make_record(root, "tiny-z2-s0"))


def test_a_planned_run_is_pending(root: Path) -> None:
    status = look(root, "tiny-z3-s0")
    assert (status.state, status.why, status.record) == (State.PENDING, "planned, not run", None)


def test_a_run_without_its_device_is_gated(root: Path) -> None:
    assert (look(root, "tiny-z4-s0").state, look(root, "tiny-z4-s0").why) == (State.GATED, "needs a CUDA device")
    assert look(root, "tiny-z4-s0", devices=("cpu",)).state is State.GATED
    assert look(root, "tiny-z4-s0", devices=("cpu", "cuda")).state is State.PENDING


def test_a_record_of_changed_code_is_stale_and_says_why(root: Path) -> None:
    edit(root / "method" / "model.py", "2 * value", "3 * value")
    edit(root / "method" / "data.py", "abc", "abd")
    status = look(root, "tiny-z2-s0")
    assert (status.state, status.why) == (
        State.STALE,
        "method.data: a statement outside functions changed and 1 more",
    )
    assert status.changes == ("method.data: a statement outside functions changed", "method.model: double() changed")


def test_an_accepted_record_is_measured_until_the_next_change(root: Path) -> None:
    edit(root / "method" / "model.py", "2 * value", "value * 2")
    stale = look(root, "tiny-z2-s0")
    Ledger(root / "experiments").accept(stale.record, stale.key, "the same product")
    accepted = look(root, "tiny-z2-s0")
    assert (accepted.state, accepted.why) == (State.MEASURED, "accepted: the same product")
    edit(root / "method" / "model.py", "value * 2", "value * 3")
    assert look(root, "tiny-z2-s0").state is State.STALE


def test_a_failure_is_seen_on_this_machine_only_and_until_the_code_changes(root: Path) -> None:
    ledger = Ledger(root / "experiments")
    ledger.log_failure("tiny-z3-s0", look(root, "tiny-z3-s0").key, "ValueError: diverged", "x.ipynb")
    assert look(root, "tiny-z3-s0").state is State.PENDING
    here = look(root, "tiny-z3-s0", devices=("cpu",))
    assert (here.state, here.why) == (State.FAILED, "ValueError: diverged")
    edit(root / "method" / "model.py", "2 * value", "3 * value")
    assert look(root, "tiny-z3-s0", devices=("cpu",)).state is State.PENDING


@pytest.mark.parametrize(
    ("name", "device_class", "price"),
    [
        ("tiny-z2-s1", None, Price(4.0, "recorded", "cpu")),  # the same cell's other seed
        ("tiny-z3-s0", None, Price(6.0, "extrapolated", "cpu")),  # 30 GFLOP at the 5 GFLOP/s of the other
        ("tiny-z3-s0", "cuda", Price(0.6, "guess", "cuda")),  # at the plan's 50 GFLOP/s
        ("tiny-z4-s0", None, Price(0.8, "guess", "cuda")),  # the device that it needs
    ],
)
def test_a_price_comes_from_like_records_or_is_a_guess(
    root: Path, name: str, device_class: str | None, price: Price
) -> None:
    plan, ledger = open_repository(root)
    assert Prices(plan, ledger.load(plan)).of(plan.run(name), device_class) == price


def test_a_price_tells_starting_from_training(root: Path) -> None:
    """Six seconds of starting are paid by each run, and not by each GFLOP."""
    plan, _ = open_repository(root)
    record = make_record(root, "tiny-z2-s0", cost=COST | {"seconds": 10.0, "train_seconds": 4.0})
    assert Prices(plan, [record]).of(plan.run("tiny-z3-s0")) == Price(6.0 + 6.0, "extrapolated", "cpu")


@pytest.mark.parametrize(
    ("bases", "words"),
    [
        (["recorded", "recorded"], ""),
        (["recorded", "extrapolated"], " (extrapolated)"),
        (["extrapolated", "guess"], " (a guess)"),
    ],
)
def test_a_price_is_told_with_its_weakest_basis(bases: list[Basis], words: str) -> None:
    assert reservation(Price(1.0, basis, "cpu") for basis in bases) == words


@pytest.mark.parametrize(("hours", "text"), [(277.3, "280"), (2.54, "2.5"), (0.521, "0.52"), (0, "0"), (1234, "1,200")])
def test_a_price_has_two_digits(hours: float, text: str) -> None:
    assert rough_hours(3600 * hours) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(3.456, "3.5 s"), (42, "42 s"), (60, "1 min"), (754, "13 min"), (1800, "0.5 h"), (0, "0 h")]
)
def test_a_short_price_has_a_unit_that_suits_it(seconds: float, text: str) -> None:
    assert rough_time(seconds) == text


def test_prices_are_of_the_device_class_with_most_recorded_work(root: Path) -> None:
    plan, _ = open_repository(root)
    on_cuda = make_record(
        root, "tiny-z3-s0", provenance=PROVENANCE | {"device_class": "cuda"}, cost=COST | {"work": 100, "seconds": 1.0}
    )
    assert Prices(plan, []).usual_device() == "cpu"
    assert Prices(plan, [make_record(root, "tiny-z2-s0"), on_cuda]).usual_device() == "cuda"


def test_the_repositorys_statuses_do_not_depend_on_the_machine(root: Path) -> None:
    repository = Path(__file__).parent.parent
    plan, ledger = load_plan(repository / "experiments" / "plan.yaml"), Ledger(repository / "experiments")
    found = statuses(plan, ledger, repository)
    assert {status.state for status in found} <= {State.MEASURED, State.PENDING, State.STALE, State.GATED}
