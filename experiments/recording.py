"""What a notebook says to the machinery around it; works alike under papermill, in Jupyter and in Colab.

A notebook ends with one call of `record`. It shows a small table to a person and carries, in the same display
output under a MIME type of our own, the payload from which `execute.py` makes the record.
"""

import base64
import contextlib
import html
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from experiments import machine, provenance
from experiments.running.confirmation import confirm_code
from experiments.spec import MIME, SCHEMA, ConfigurationError, Correct, Packed

CAPTION = "Record of this run"
CHECKPOINT_VARIABLE = "REPRODUCTION_CHECKPOINT"
DATA_VARIABLE = "REPRODUCTION_DATA"
PROGRESS_VARIABLE = "REPRODUCTION_PROGRESS"


def record(
    *,
    metrics: Mapping[str, Any],
    history: Mapping[str, Sequence[Any]] | None = None,
    correct: Iterable[Any] | None = None,
    breakdown: Mapping[str, Sequence[Any]] | None = None,
    settings: Mapping[str, Any] | None = None,
    cost: Mapping[str, Any] | None = None,
    arrays: Mapping[str, Any] | None = None,
) -> None:
    """Hands a run's results over: emits exactly one display output. Call it once, in the last cell.

    Args:
        metrics: name -> number, by the last epoch; accuracies as fractions.
        history: column -> one number (or None) an epoch; all columns equally long.
        correct: for each test image, in the test set's order, whether it was classified rightly: a boolean an image.
        breakdown: column -> one value a class; all columns equally long.
        settings: the resolved settings, for the tables of deviations; plain values.
        cost: what only the notebook knows, such as train_seconds; numbers.
        arrays: name -> array of numbers (NumPy's, torch's on the CPU, or nested lists) that a figure shows, such as
            learned filters. Kept in 8 bits a number; whole numbers from -127 to 127 are kept exactly.

    Raises:
        ConfigurationError: a value is not a plain finite number, or columns differ in length. NumPy's and torch's
            scalars are taken as the numbers that they are.
    """
    confirm_code()
    gathered = provenance.gather()
    payload = {
        "schema": SCHEMA,
        "metrics": {name: _number(value, f"metrics[{name!r}]") for name, value in metrics.items()},
        "history": _columns(history or {}, "history"),
        "correct": None if correct is None else _pack(correct),
        "breakdown": None if breakdown is None else _columns(breakdown, "breakdown"),
        "settings": {name: _plain(value, f"settings[{name!r}]") for name, value in (settings or {}).items()},
        "cost": {
            "peak_memory_mib": machine.peak_memory_mib(gathered["device_class"]),
            **{name: _number(value, f"cost[{name!r}]") for name, value in (cost or {}).items()},
        },
        "provenance": gathered,
    }
    if arrays:
        payload["arrays"] = {name: _pack_array(value, f"arrays[{name!r}]") for name, value in arrays.items()}
    if not payload["metrics"]:
        raise ConfigurationError("record(): metrics is empty; expected at least one name and number")
    _display({MIME: payload, "text/plain": _as_text(payload), "text/html": _as_html(payload)})


def checkpoint_path() -> Path | None:
    """Where this run keeps what it needs to go on after being killed; None when a person runs the notebook.

    Raises:
        ConfigurationError: the code was changed while the run began; see `experiments.running.confirmation`.
    """
    confirm_code()
    value = os.environ.get(CHECKPOINT_VARIABLE)
    return Path(value) if value else None


def report_progress(text: str, fraction: float) -> None:
    """Tells `build.py run` how far the run is (fraction in 0..1); does nothing when a person runs the notebook."""
    confirm_code()
    value = os.environ.get(PROGRESS_VARIABLE)
    if not value:
        return
    temporary = Path(f"{value}.tmp")
    with contextlib.suppress(OSError):  # A full disk must not end a training for the sake of its progress bar.
        temporary.write_text(json.dumps({"text": text, "fraction": min(1.0, max(0.0, float(fraction)))}))
        os.replace(temporary, value)


def _number(value: Any, place: str) -> float | int:
    """A plain finite number; NumPy's and torch's scalars are unwrapped by their own `item`."""
    plain = value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value
    if isinstance(plain, bool) or not isinstance(plain, (int, float)) or not math.isfinite(plain):
        raise ConfigurationError(f"record(): {place} is {value!r}; expected a finite number")
    return plain


def _plain(value: Any, place: str) -> Any:
    """A value that JSON holds without loss: text, boolean, None, finite number, or a list of these."""
    if value is None or isinstance(value, (str, bool)):
        return value
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{place}[{index}]") for index, item in enumerate(value)]
    try:
        return _number(value, place)
    except ConfigurationError as error:
        raise ConfigurationError(f"record(): {place} is {value!r}; expected text, a number or a list") from error


def _columns(columns: Mapping[str, Sequence[Any]], place: str) -> dict[str, list[Any]]:
    """Columns of equal length."""
    plain = {
        name: [_plain(value, f"{place}[{name!r}][{index}]") for index, value in enumerate(values)]
        for name, values in columns.items()
    }
    lengths = {name: len(values) for name, values in plain.items()}
    if len(set(lengths.values())) > 1:
        raise ConfigurationError(f"record(): the columns of {place} differ in length: {lengths}")
    return plain


def _pack(correct: Iterable[Any]) -> dict[str, Any]:
    """The record's form of one boolean an image; the first image is the highest bit of the first byte."""
    values = [value.item() if hasattr(value, "item") else value for value in correct]
    wrong = next((value for value in values if not isinstance(value, bool)), None)
    if wrong is not None or not values:
        raise ConfigurationError(f"record(): correct holds {wrong!r}; expected one boolean a test image, at least one")
    text = "".join("1" if value else "0" for value in values)
    padded = text.ljust(-(-len(text) // 8) * 8, "0")
    packed = int(padded, 2).to_bytes(len(padded) // 8, "big")
    return Correct(split="test", count=len(values), bits=base64.b64encode(packed).decode()).to_json()


def _pack_array(value: Any, place: str) -> dict[str, Any]:
    """The record's form of an array; see `Packed`."""
    import numpy as np  # Here, because a notebook without arrays may do without it.

    try:
        numbers = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigurationError(f"record(): {place} is no array of numbers: {error}") from error
    if numbers.ndim == 0 or numbers.size == 0 or not np.isfinite(numbers).all():
        raise ConfigurationError(f"record(): {place} has the shape {numbers.shape}; expected finite numbers along axes")
    largest = float(np.abs(numbers).max())
    is_exact = largest <= 127 and bool((numbers == np.rint(numbers)).all())
    scale = 1.0 if is_exact else largest / 127 or largest
    steps = np.rint(numbers / scale).astype(np.int8)
    return Packed(numbers.shape, scale, base64.b64encode(steps.tobytes()).decode()).to_json()


def _rows(payload: Mapping[str, Any]) -> list[tuple[str, str]]:
    values = {**payload["metrics"], **payload["cost"]}
    return [(name, shown_value(value)) for name, value in values.items() if value is not None]


def shown_value(value: float) -> str:
    """A metric or a cost as the last cell shows it: `0.751`, `718,090`."""
    return f"{value:,.6g}" if isinstance(value, float) else f"{value:,}"


def _as_text(payload: Mapping[str, Any]) -> str:
    rows = _rows(payload)
    width = max(len(name) for name, _ in rows)
    return "\n".join([CAPTION, *(f"  {name:<{width}}  {value}" for name, value in rows)])


def _as_html(payload: Mapping[str, Any]) -> str:
    rows = "".join(
        f'<tr><th scope="row" style="text-align:left">{html.escape(name)}</th><td>{html.escape(value)}</td></tr>'
        for name, value in _rows(payload)
    )
    return f"<table><caption>{CAPTION}</caption>{rows}</table>"


def _display(bundle: dict[str, Any]) -> None:
    """Shows the bundle in a Jupyter kernel; a plain Python process prints the text."""
    try:
        from IPython.core.getipython import get_ipython
        from IPython.display import display
    except ImportError:
        print(bundle["text/plain"])
        return
    if get_ipython() is None:
        print(bundle["text/plain"])
    else:
        display(bundle, raw=True)
