"""A notebook, executed by papermill in a kernel of its own that is watched. The only place that imports papermill."""

import json
import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.running.orders import Order, interrupted
from experiments.running.workspace import Workspace
from experiments.spec import Run, RunFailed

if TYPE_CHECKING:
    from experiments.running.kernels import Kernels

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_SHOWN_LINES = 8  # Of a traceback: the last lines name the error and its place.
_START_SECONDS = 120  # A kernel on a busy machine may take this long to answer.


def run_notebook(
    order: Order,
    root: Path,
    parameters: Mapping[str, Any],
    workspace: Workspace,
    environment: Mapping[str, str],
    kernels: "Kernels | None",
) -> dict[str, Any]:
    """The executed notebook as JSON; after each cell it is also in the workspace's file.

    Raises:
        RunFailed: a cell raised, the kernel died, or it hung and was ended.
        RunInterrupted: `kernels` was stopped.
    """
    import papermill

    from experiments.running.kernels import Kernels, KernelsStopped, own_event_loop
    from experiments.running.watch import Watch

    run, output = order.run, workspace.notebook
    kernels = kernels or Kernels(ignored_signals=order.ignored_signals)
    watch = Watch(workspace, run.resources, kernels.end)
    for name in ("papermill", "traitlets"):  # They tell what we tell, and "Kernel died" where we have ended it.
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        with own_event_loop():
            papermill.execute_notebook(
                _escape(root / "experiments" / run.notebook),
                _escape(output),
                dict(parameters),
                kernel_name="python3",
                language="python",
                kernel_manager_class=kernels.make_manager(root, environment, watch.begin),
                # Waiting for a kernel to say goodbye stalls some runs by seconds, and there is nothing left to save.
                shutdown_kernel="immediate",
                start_timeout=_START_SECONDS,
                progress_bar=False,
            )
    except papermill.PapermillExecutionError as error:
        raise RunFailed(_describe(run, error)) from error
    except Exception as error:
        if kernels.stopped or isinstance(error, KernelsStopped):
            raise interrupted(run.name) from None
        raise RunFailed(f"{run.name}: {watch.verdict or _explain(error)}") from error
    finally:
        watch.end()
    return json.loads(output.read_text(encoding="utf-8"))


def _describe(run: Run, error: Any) -> str:
    """The cell's error and the last lines of its traceback."""
    lines = _ANSI.sub("", "\n".join(error.traceback)).splitlines()
    shown = "\n".join(f"  {line}" for line in lines[-_SHOWN_LINES:])
    return f"{run.name}: {run.notebook}: cell [{error.exec_count}] raised {error.ename}: {error.evalue}\n{shown}"


def _explain(error: Exception) -> str:
    """Why there is no executed notebook, though no cell has raised."""
    from nbclient.exceptions import DeadKernelError

    if str(error).startswith("Kernel didn't respond"):  # jupyter_client's words; it is alive, and was ended
        return (
            f"the kernel did not start within {_START_SECONDS} s: this machine or its file system is busy; run it again"
        )
    if isinstance(error, (DeadKernelError, RuntimeError)):
        return f"the kernel died ({error}); often the memory was used up"
    return f"papermill failed: {type(error).__name__}: {error}"


def _escape(path: Path) -> str:
    """A path for papermill, which fills `str.format` fields in it."""
    return str(path).replace("{", "{{").replace("}", "}}")
