"""How a kernel's libraries use the cores: no more threads than they are given, and none that keeps a core while it waits."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.execute import execute
from experiments.running.kernels import Kernels
from experiments.running.threads import limit_threads, limit_waiting, refuse_surplus_threads
from experiments.running.warm_kernels import warm_start
from experiments.spec import ConfigurationError
from tests.small_repository import make_repository, open_repository


@pytest.mark.parametrize("chosen", ["GOMP_SPINCOUNT", "OMP_WAIT_POLICY"])
def test_a_users_own_choice_of_waiting_stands(chosen: str) -> None:
    assert limit_waiting({chosen: "7", "HOME": "/"}) == {}
    assert limit_waiting({"HOME": "/"}) == {"GOMP_SPINCOUNT": "1000"}


def test_threads_are_left_to_the_libraries_unless_a_number_is_given() -> None:
    assert limit_threads(None) == {}
    assert set(limit_threads(3).values()) == {"3"}


@pytest.mark.parametrize("name", ["OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"])
@pytest.mark.parametrize("number", ["3", "16", "3,1"])
def test_a_users_own_number_of_threads_beyond_the_cores_is_refused(name: str, number: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        refuse_surplus_threads({name: number}, 2)
    assert str(caught.value) == (
        f"${name} is {number!r}, and this process may use 2 cores: set it to at most 2, or leave it unset, which takes "
        "them all"
    )


@pytest.mark.parametrize("number", ["1", "2", "2,8", "", "many"])
def test_a_users_own_number_of_threads_up_to_the_cores_stands(number: str) -> None:
    refuse_surplus_threads({"OMP_NUM_THREADS": number}, 2)


def test_surplus_threads_are_refused_only_where_no_number_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4096")
    root = make_repository(tmp_path / "root")
    plan, ledger = open_repository(root)
    with pytest.raises(ConfigurationError, match="OMP_NUM_THREADS is '4096'"):
        execute(plan.run("tiny-z2-s0"), root, ledger)
    execute(plan.run("tiny-z2-s0"), root, ledger, threads=1)


@pytest.mark.parametrize("warm", [False, True])
def test_a_kernel_is_told_how_to_wait(warm: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    root = make_repository(tmp_path / "root")
    plan, ledger = open_repository(root)
    run = replace(plan.run("tiny-z2-s0"), notebook="tells-where-it-is.ipynb")
    with warm_start(root, []) as command:
        assert command is not None
        execute(run, root, ledger, kernels=Kernels(command) if warm else None)
    cells = json.loads(ledger.executed_path(run.name).read_text())["cells"]
    place = next(cell for cell in cells if cell["id"] == "place")["outputs"][0]["text"][0].split()
    assert place[2] == "1000"
