"""Fixtures that many tests share, and a last line that says loudly what could not be tried on this machine."""

import os
from pathlib import Path

import pytest

from experiments.provenance import CI_VARIABLES
from experiments.running.threads import limit_waiting

os.environ.update(limit_waiting(os.environ))  # before torch: tests may run beside other work
for _name in CI_VARIABLES:  # Who runs the tests is not to show in the records that they make.
    os.environ.pop(_name, None)

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def cifar10_root() -> Path:
    """The folder that holds `cifar-10-batches-py`, unpacked by `.ci/run` or downloaded by torchvision."""
    place = Path(os.environ.get("REPRODUCTION_DATA", ROOT / "data"))
    if not (place / "cifar-10-batches-py").is_dir():
        pytest.skip(f"CIFAR-10 is not in {place}: not tried with real images")
    return place


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Skips are no successes: list each with its reason, without -rs."""
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        terminalreporter.write_line(f"SKIPPED {report.nodeid}: {reason}", yellow=True)
