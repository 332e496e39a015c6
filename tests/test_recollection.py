"""What `status` said is said again exactly as long as it would say the same."""

from collections.abc import Callable
from pathlib import Path

import pytest

import build
from experiments import commands
from experiments.ledger import Ledger
from tests.small_repository import edit, make_record, make_repository

Told = tuple[int, str, str]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository with one record."""
    root = make_repository(tmp_path / "root")
    Ledger(root / "experiments").save(make_record(root, "tiny-z2-s0"))
    return root


@pytest.fixture
def status(root: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., Told]:
    def run(*options: str) -> Told:
        capsys.readouterr()
        code = build.main(["status", *options], root)
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Has an entry for each time that the ledger was really looked at."""
    times: list[str] = []
    show = commands.show_status

    def show_and_count(*arguments: object, **options: object) -> int:
        times.append("asked")
        return show(*arguments, **options)

    monkeypatch.setattr(commands, "show_status", show_and_count)
    return times


@pytest.mark.parametrize("options", [(), ("--runs",), ("--explain",), ("--json",)])
def test_the_same_is_said_without_looking_again(status, asked: list[str], options: tuple[str, ...]) -> None:
    first = status(*options)
    assert first[0] == 0 and first[1]
    assert status(*options) == first
    assert len(asked) == 1


def test_what_is_asked_otherwise_is_looked_up(status, asked: list[str]) -> None:
    assert status() != status("--runs")
    assert status("tiny-z2-s0") == status("tiny-z2-s0")
    assert len(asked) == 4


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        (lambda root: edit(root / "method" / "model.py", "2 * value", "3 * value"), "stale"),
        (lambda root: Ledger(root / "experiments").save(make_record(root, "tiny-z3-s0")), "2 measured"),
        (lambda root: (root / "experiments" / "records" / "tiny-z2-s0.json").unlink(), "pending"),
        (lambda root: Ledger(root / "experiments").log_failure("tiny-z3-s0", "k", "it broke", "n.ipynb"), "measured"),
        (lambda root: edit(root / "experiments" / "plan.yaml", "title: Two sizes", "title: Other"), "measured"),
    ],
)
def test_what_has_changed_is_looked_up(root: Path, status, asked: list[str], change, shown: str) -> None:
    status()
    change(root)
    assert shown in status()[1]
    assert len(asked) == 2


def test_a_damaged_ledger_is_told_again_with_its_exit_code(root: Path, status, asked: list[str]) -> None:
    path = root / "experiments" / "records" / "tiny-z2-s0.json"
    path.write_text(path.read_text().replace("0.75", "0.85", 1))
    first = status()
    assert first[0] == 3 and "tiny-z2-s0.json" in first[2]
    assert status() == first
    assert len(asked) == 1


def test_another_terminal_is_another_reader(status, asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    status()
    monkeypatch.setenv("COLUMNS", "40")
    status()
    assert len(asked) == 2


@pytest.mark.parametrize(
    "damage", [lambda text: "", lambda text: text[:-9], lambda text: text.replace("\n0\n", "\nx\n")]
)
def test_a_damaged_memory_is_no_loss(root: Path, status, damage) -> None:
    first, path = status(), root / ".cache" / "status.txt"
    path.write_text(damage(path.read_text()))
    assert status() == first


def test_a_root_that_cannot_be_written_is_no_loss(root: Path, status, asked: list[str]) -> None:
    (root / ".cache").write_text("in the way")
    assert status() == status()
    assert len(asked) == 2
