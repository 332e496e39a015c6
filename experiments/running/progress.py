"""What a person sees while runs go on: bars on a terminal, plain lines elsewhere. Always on stderr."""

import contextlib
import time
from collections.abc import Iterator
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from experiments.prices import Price, reservation
from experiments.spec import Record, Run, RunFailed

LEFT = "left to another process, which is running it or has recorded it"
_LINE_SECONDS = 30  # Off a terminal, at most one line of progress in this time a run.


class Terminal(Console):
    """Rich's console, which would end the process with 1 where the reader of the output has closed its pipe."""

    def on_broken_pipe(self) -> None:
        """Leaves it to the command line."""
        raise BrokenPipeError


class Monitor(Protocol):
    """Is told what happens to runs."""

    def start(self, run: Run, price_seconds: float) -> None:
        """The run is begun."""

    def advance(self, run: Run, words: str, fraction: float) -> None:
        """The run is so far; may be told the same more than once."""

    def finish(self, run: Run, record: Record) -> None:
        """The run is recorded."""

    def fail(self, run: Run, error: RunFailed) -> None:
        """The run has failed, or was interrupted."""

    def leave(self, run: Run) -> None:
        """The run is another process's."""


@contextlib.contextmanager
def open_monitor(total: int, console: Console | None = None) -> Iterator[Monitor]:
    """A monitor for `total` runs that suits the console: stderr, unless another is given."""
    console = console or Terminal(stderr=True)
    if not console.is_terminal:
        yield PlainMonitor(total, console)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[words]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bars:
        yield TerminalMonitor(total, bars)


class PlainMonitor:
    """A line for each beginning and end, and now and then one between."""

    def __init__(self, total: int, console: Console) -> None:
        self._total, self._console, self._done = total, console, 0
        self._told: dict[str, tuple[float, str]] = {}

    def start(self, run: Run, price_seconds: float) -> None:
        self._told[run.name] = (time.monotonic(), "")
        self._print(f"{run.name}: begun, about {format_seconds(price_seconds)}")

    def advance(self, run: Run, words: str, fraction: float) -> None:
        since, before = self._told.get(run.name, (0.0, ""))
        if words != before and time.monotonic() - since >= _LINE_SECONDS:
            self._told[run.name] = (time.monotonic(), words)
            self._print(f"{run.name}: {fraction:.0%}, {words}")

    def finish(self, run: Run, record: Record) -> None:
        self._done += 1
        self._print(f"[{self._done}/{self._total}] {describe_result(run, record)}")

    def fail(self, run: Run, error: RunFailed) -> None:
        self._done += 1
        self._print(f"[{self._done}/{self._total}] FAILED {error}")

    def leave(self, run: Run) -> None:
        self._done += 1
        self._print(f"[{self._done}/{self._total}] {run.name}: {LEFT}")

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)


class TerminalMonitor:
    """A bar for all runs and one for each that goes on; results stay above them."""

    def __init__(self, total: int, bars: Progress) -> None:
        self._bars = bars
        self._all = bars.add_task("all runs", total=total, words="")
        self._tasks: dict[str, TaskID] = {}

    def start(self, run: Run, price_seconds: float) -> None:
        words = f"about {format_seconds(price_seconds)}"
        self._tasks[run.name] = self._bars.add_task(escape(run.name), total=1.0, words=words)

    def advance(self, run: Run, words: str, fraction: float) -> None:
        self._bars.update(self._tasks[run.name], completed=fraction, words=escape(words))

    def finish(self, run: Run, record: Record) -> None:
        self._end(run, f"[green]recorded[/] {escape(describe_result(run, record))}")

    def fail(self, run: Run, error: RunFailed) -> None:
        self._end(run, f"[red]FAILED[/] {escape(str(error))}")

    def leave(self, run: Run) -> None:
        self._end(run, f"{escape(run.name)}: {LEFT}")

    def _end(self, run: Run, line: str) -> None:
        self._bars.remove_task(self._tasks.pop(run.name))
        self._bars.update(self._all, advance=1)
        self._bars.console.print(line, highlight=False, soft_wrap=True)


def describe_result(run: Run, record: Record) -> str:
    """A finished run in a line: its name, time, and test accuracy or else its first metric."""
    name = "test_accuracy" if "test_accuracy" in record.metrics else next(iter(record.metrics))
    return f"{run.name}: {name} {record.metrics[name]:.4f} in {format_seconds(record.cost['seconds'] or 0.0)}"


def describe_price(price: Price) -> str:
    """What a run will cost, as a person says it: `about 12 min on cpu (extrapolated)`."""
    return f"about {format_seconds(price.seconds)} on {price.device_class}{reservation([price])}"


def format_seconds(seconds: float) -> str:
    """A duration as a person says it: `8 s`, `12 min`, `3.5 h`, `2.1 d`."""
    for limit, unit, name in ((90, 1, "s"), (90 * 60, 60, "min"), (48 * 3600, 3600, "h")):
        if seconds < limit:
            value = seconds / unit
            return f"{value:.1f} {name}" if name == "h" and value < 10 else f"{value:.0f} {name}"
    return f"{seconds / 86400:.1f} d"
