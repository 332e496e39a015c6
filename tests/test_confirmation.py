"""A kernel looks once whether its code is still that of its run's key, and names what is not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.fingerprint import Fingerprinter
from experiments.running.confirmation import CODE_VARIABLE, confirm_code, describe_code
from experiments.spec import ConfigurationError
from tests.small_repository import edit, make_repository


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A repository whose notebook a kernel is about to run."""
    root = make_repository(tmp_path / "root")
    today = Fingerprinter(root).of_notebook("fine.ipynb")
    monkeypatch.setenv(CODE_VARIABLE, describe_code(root, "fine.ipynb", today))
    confirm_code.cache_clear()
    yield root
    confirm_code.cache_clear()


def test_code_that_is_as_it_was_is_confirmed(root: Path) -> None:
    confirm_code()


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        ("method/model.py", "2 * value", "3 * value", "method.model"),
        ("experiments/fine.ipynb", "print(double(size))", "print(double(size), 1)", "fine.ipynb"),
    ],
)
def test_what_was_changed_meanwhile_is_named(root: Path, file: str, old: str, new: str, changed: str) -> None:
    edit(root / file, old, new)
    with pytest.raises(ConfigurationError) as caught:
        confirm_code()
    assert str(caught.value) == (
        f"{changed} changed while the run began, so that its key is not that of the code that runs; nothing is "
        "recorded: run it again"
    )
