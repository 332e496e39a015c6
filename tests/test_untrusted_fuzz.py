"""Every reader takes files that are a little wrong: it reads them or refuses them, and does nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from experiments.spec import ConfigurationError
from tests.fuzz.__main__ import make_file
from tests.fuzz.targets import TARGETS, Target

FILES = 25  # of each target; `python -m tests.fuzz` tries as many as there is time for


@pytest.fixture(scope="module", params=TARGETS.values(), ids=TARGETS)
def prepared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Target, Path]:
    """A target and the folder that it needs."""
    folder = tmp_path_factory.mktemp(request.param.name)
    request.param.prepare(folder)
    return request.param, folder


def test_every_seed_is_read(prepared: tuple[Target, Path]) -> None:
    target, folder = prepared
    path = folder / target.place
    path.parent.mkdir(parents=True, exist_ok=True)
    seeds = target.seeds()
    assert seeds
    path.write_bytes(seeds[0])
    if target.name == "notebook":  # the first of the faulty ones
        with pytest.raises(ConfigurationError):
            target.load(path)
    else:
        target.load(path)


@settings(max_examples=FILES, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(number=st.integers(0, 2**32))
def test_a_file_with_faults_is_read_or_refused(prepared: tuple[Target, Path], number: int) -> None:
    target, folder = prepared
    target.try_out(make_file(target.seeds(), number), folder)


def test_a_reader_that_breaks_is_found(tmp_path: Path) -> None:
    broken = Target("broken", "a", lambda: [b"x"], lambda path: path.read_text(encoding="ascii"))
    with pytest.raises(UnicodeDecodeError):
        broken.try_out(b"\xff", tmp_path)


def test_the_campaign_tells_what_it_tried_and_refuses_unknown_targets(root: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fuzz", "--keep", str(tmp_path / "found"), "--seconds", "0.2"]
    done = subprocess.run([*command, "expression"], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("expression: ")
    assert done.stdout.endswith(" files, 0 findings\n")
    assert not (tmp_path / "found").exists()
    done = subprocess.run([*command, "none"], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "no target 'none'; the targets are record, plan, " in done.stderr
