"""One run through papermill, on tiny notebooks that are named after what is wrong with them."""

import ast
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiments import execute as execution
from experiments import machine
from experiments.execute import compute_ordered, execute, prepare
from experiments.fingerprint import fingerprint
from experiments.git import GitFailed
from experiments.ledger import Ledger
from experiments.reading import Unreadable
from experiments.running.kernels import Kernels
from experiments.running.orders import Answer, Order, catch, settle
from experiments.running.workspace import Workspace
from experiments.schema import RecordFault
from experiments.spec import ConfigurationError, Record, Run, RunBusy, RunFailed, RunInterrupted
from tests.processes import find_processes, wait_for
from tests.small_git import commit, git
from tests.small_repository import edit, make_record, make_repository, open_repository

NAME = "tiny-z2-s0"
REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def our_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels work in the small repository, and find the package `experiments` here."""
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "a {root} & more")  # Braces: papermill fills format fields in paths.


def plan_run(root: Path, notebook: str = "fine.ipynb") -> tuple[Run, Ledger]:
    plan, ledger = open_repository(root)
    return replace(plan.run(NAME), notebook=notebook), ledger


def fail(root: Path, notebook: str) -> str:
    """The message of a run that fails, having looked that it leaves what a failure leaves and no record."""
    run, ledger = plan_run(root, notebook)
    with pytest.raises(RunFailed) as caught:
        execute(run, root, ledger)
    assert not ledger.record_path(NAME).exists()
    assert not ledger.executed_path(NAME).exists()
    failure = ledger.failures()[NAME]
    assert failure["key"] == fingerprint(run, root).key
    assert failure["notebook"] == f".cache/failed/{NAME}.ipynb"
    assert str(caught.value) == f"{NAME}: {failure['error']}" + str(caught.value)[len(f"{NAME}: {failure['error']}") :]
    assert (root / failure["notebook"]).is_file()
    return str(caught.value)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Record]:
    """A repository in which one run has been run, and its record."""
    root = make_repository(tmp_path_factory.mktemp("finished") / "root")
    run, ledger = plan_run(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(REPOSITORY))
        return root, execute(run, root, ledger, threads=1, executor="test")


def test_a_run_of_code_that_git_does_not_track_says_that_its_commit_is_not_all(root: Path) -> None:
    git(root, "init", "--quiet")
    (root / ".gitignore").write_text(".cache/\nmethod/model.py\n", encoding="utf-8")
    commit(root, "all but the method")
    run, _ = plan_run(root)
    assert prepare(run, root).source == (git(root, "rev-parse", "HEAD").strip(), True)
    (root / ".gitignore").write_text(".cache/\n", encoding="utf-8")
    commit(root, "the method too")
    (root / "notes.py").write_text("no code of a run", encoding="utf-8")
    assert prepare(run, root).source == (git(root, "rev-parse", "HEAD").strip(), False)


def test_a_run_leaves_its_record(finished: tuple[Path, Record]) -> None:
    root, record = finished
    plan, ledger = open_repository(root)
    assert ledger.load(plan) == [record]
    assert record.key == fingerprint(plan.run(NAME), root).key
    assert record.parameters == {"name": "tiny", "rate": 0.5, "seed": 0, "size": 2}
    assert record.metrics == {"test_accuracy": 0.75}
    assert record.correct.unpack() == [True, True, False, True]
    assert {name: list(column) for name, column in record.history.items()} == {"test_accuracy": [0.5, 0.75]}
    assert {name: record.cost[name] for name in ("work", "attempts", "energy_joules")} == {
        "work": 20.0,
        "attempts": 1,
        "energy_joules": None,
    }
    assert 0 < record.cost["seconds"] < 120 and record.cost["peak_memory_mib"] > 10
    assert record.provenance["executor"] == "test"
    assert record.provenance["device_class"] == "cpu"


def test_a_record_names_no_host_user_or_folder(finished: tuple[Path, Record]) -> None:
    root, record = finished
    texts = (record.to_text(), open_repository(root)[1].executed_path(NAME).read_text())
    names = {str(root), str(REPOSITORY), str(Path.home()), os.uname().nodename}
    assert [name for text in texts for name in names if name in text and len(name) > 5] == []


def test_the_executed_notebook_of_the_first_seed_is_kept(finished: tuple[Path, Record]) -> None:
    root, _ = finished
    kept = json.loads(open_repository(root)[1].executed_path(NAME).read_text())
    outputs = {cell["id"]: cell["outputs"] for cell in kept["cells"] if cell["cell_type"] == "code"}
    assert outputs["compute"] == [{"name": "stdout", "output_type": "stream", "text": ["4\n"]}]
    assert sorted(outputs["record"][0]["data"]) == ["text/html", "text/plain"]
    assert list(outputs) == ["parameters", "injected-parameters", "compute", "record"]
    assert all(set(cell["metadata"]) <= {"tags"} for cell in kept["cells"])


def test_nothing_unfinished_is_left(finished: tuple[Path, Record]) -> None:
    root, _ = finished
    left = sorted(path.relative_to(root).as_posix() for path in (root / ".cache").rglob("*") if path.is_file())
    assert left == [".cache/code.json", f".cache/locks/{NAME}", f".cache/workers/{NAME}"]


def test_a_recorded_run_is_refused_before_a_kernel_starts_unless_forced(finished: tuple[Path, Record]) -> None:
    run, ledger = plan_run(finished[0])
    with pytest.raises(ConfigurationError, match="is recorded; use --force to replace it"):
        execute(run, finished[0], ledger)


@pytest.mark.parametrize(
    ("notebook", "parameters", "message"),
    [
        ("fine.ipynb", {"depth": 3}, "fine.ipynb has no parameter 'depth'; it has seed, size, rate, name"),
        ("fine.ipynb", {"size": "2"}, "parameter 'size' is '2'; expected int, as in the notebook"),
        ("fine.ipynb", {"size": True}, "parameter 'size' is True; expected int, as in the notebook"),
        ("needs-a-seed.ipynb", {}, "parameter 'seed' of needs-a-seed.ipynb has no default; give it a value"),
    ],
)
def test_wrong_parameters_are_refused_before_a_kernel_starts(
    root: Path, monkeypatch: pytest.MonkeyPatch, notebook: str, parameters: dict, message: str
) -> None:
    def start(*_: object) -> None:
        raise AssertionError("a kernel was started")

    monkeypatch.setattr(Kernels, "make_manager", start)
    run, ledger = plan_run(root, notebook)
    with pytest.raises(ConfigurationError) as caught:
        execute(replace(run, parameters=parameters), root, ledger)
    assert str(caught.value) == f"{NAME}: {message}"


def test_a_cell_that_raises_is_shown_with_the_end_of_its_traceback(root: Path) -> None:
    message = fail(root, "raises.ipynb")
    lines = message.splitlines()
    assert lines[0] == "tiny-z2-s0: raises.ipynb: cell [3] raised ValueError: the loss is <nan> & {gone}"
    assert lines[-2:] == [
        "  ValueError: the loss is <nan> & {gone}",
        "The notebook, as far as it came: .cache/failed/tiny-z2-s0.ipynb",
    ]
    assert any("----> 2" in line for line in lines)
    kept = (root / ".cache/failed/tiny-z2-s0.ipynb").read_text()
    assert "Traceback" in kept and "ValueError" in kept


def test_a_kernel_that_is_slow_to_start_is_not_called_dead(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    later = "import runpy, time; time.sleep(4); runpy.run_module('ipykernel_launcher', run_name='__main__')"
    monkeypatch.setattr("experiments.running.notebook_runs._START_SECONDS", 0)
    run, ledger = plan_run(root)
    with pytest.raises(RunFailed, match=f"^{NAME}: the kernel did not start within 0 s: this machine or its file sys"):
        execute(run, root, ledger, kernels=Kernels([sys.executable, "-c", later, "-f", "{connection_file}"]))
    wait_for(lambda: not find_processes(root))


@pytest.mark.parametrize(("deeper", "transport"), [("", "ipc"), ("d" * 100, "tcp")])
def test_a_kernel_is_spoken_to_in_a_folder_of_its_own_and_by_ports_only_where_that_lies_too_deep(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deeper: str, transport: str
) -> None:
    told = tmp_path / "told.json"
    copied = f"import runpy, shutil, sys; shutil.copy(sys.argv[2], {str(told)!r}); "
    program = copied + "runpy.run_module('ipykernel_launcher', run_name='__main__')"
    run, ledger = plan_run(root)
    with tempfile.TemporaryDirectory(prefix="t") as short:
        place = Path(short, deeper)
        place.mkdir(exist_ok=True)
        monkeypatch.setattr(tempfile, "tempdir", str(place))
        execute(run, root, ledger, kernels=Kernels([sys.executable, "-c", program, "-f", "{connection_file}"]))
        assert json.loads(told.read_text())["transport"] == transport
        assert list(place.iterdir()) == []


def test_a_killed_kernel_is_a_failure(root: Path) -> None:
    message = fail(root, "dies.ipynb")
    assert message.startswith("tiny-z2-s0: the kernel died (")
    assert "often the memory was used up" in message


@pytest.mark.parametrize(
    ("notebook", "message"),
    [
        (
            "records-nothing.ipynb",
            "the notebook emitted no records; expected one call of `record(...)`, in its last cell",
        ),
        ("records-twice.ipynb", "the notebook emitted 2 records; expected one call of `record(...)`, in its last cell"),
        (
            "records-no-accuracy.ipynb",
            (
                "record(): metrics has no 'test_accuracy'; it has bleu. The report is about accuracies: expected the share "
                "of the test images that are right"
            ),
        ),
        (
            "contradicts-itself.ipynb",
            (
                "the record: metrics.test_accuracy: found 0.75, but the 2 bits of `correct` would give 0.5; "
                "either the notebook hands over two different accuracies, or the record was changed after the run"
            ),
        ),
    ],
)
def test_a_notebook_without_exactly_one_sound_record_fails(root: Path, notebook: str, message: str) -> None:
    assert fail(root, notebook) == (
        f"tiny-z2-s0: {message}\nThe notebook, as far as it came: .cache/failed/tiny-z2-s0.ipynb"
    )


def test_a_failed_run_goes_on_from_its_checkpoint(root: Path) -> None:
    fail(root, "goes-on.ipynb")
    run, ledger = plan_run(root, "goes-on.ipynb")
    assert Workspace(root / ".cache", NAME, fingerprint(run, root).key).checkpoint.is_file()
    record = execute(run, root, ledger)
    assert (record.metrics["test_accuracy"], record.cost["attempts"]) == (1.0, 2)
    assert not (root / ".cache/failed/tiny-z2-s0.ipynb").exists()


def test_a_module_that_changes_between_key_and_import_leaves_no_record(root: Path) -> None:
    run, ledger = plan_run(root, "edits-the-code.ipynb")
    with pytest.raises(RunFailed) as caught:
        execute(run, root, ledger)
    assert (
        "raised ConfigurationError: method.model changed while the run began, so that its key is not that of the code "
        "that runs; nothing is recorded: run it again"
    ) in str(caught.value)
    assert not ledger.record_path(NAME).exists()


def test_a_module_that_changes_while_the_run_computes_does_not_end_it(root: Path) -> None:
    run, ledger = plan_run(root, "edits-the-code-later.ipynb")
    before = fingerprint(run, root).key
    assert execute(run, root, ledger).key == before != fingerprint(run, root).key


def test_a_forced_run_begins_anew_whatever_checkpoint_there_is(root: Path) -> None:
    fail(root, "goes-on.ipynb")
    run, ledger = plan_run(root, "goes-on.ipynb")
    with pytest.raises(RunFailed, match="killed in the middle"):
        execute(run, root, ledger, anew=True)


@pytest.mark.parametrize(("shares", "earlier", "joules"), [(False, 0.0, 5.0), (True, 0.0, None), (False, 9.0, None)])
def test_energy_is_recorded_only_where_the_meter_counts_all_of_the_run_and_nothing_else(
    root: Path, monkeypatch: pytest.MonkeyPatch, shares: bool, earlier: float, joules: float | None
) -> None:
    readings = iter((10.0, 15.0))
    monkeypatch.setattr(machine, "read_energy_joules", lambda: next(readings))
    monkeypatch.setattr(Workspace, "begin", lambda self: (1, earlier))
    monkeypatch.setattr(execution, "run_notebook", lambda *arguments: {})
    payload = {"schema": 1, "provenance": {"device_class": "cuda"}, "cost": {}}
    monkeypatch.setattr(execution, "take_payload", lambda *arguments: payload)
    monkeypatch.setattr(execution, "make_record", lambda *arguments: (_ for _ in ()).throw(RunFailed("enough")))
    run, ledger = plan_run(root)
    with pytest.raises(RunFailed, match="enough"):
        execute(run, root, ledger, shares_device=shares)
    assert payload["cost"]["energy_joules"] == joules


def test_no_two_threads_make_syntax_trees_at_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python 3.11 counts the depth of all of them in one place."""
    held = []
    parse = ast.parse

    def parse_watched(*arguments: Any, **options: Any) -> ast.AST:
        held.append(execution._PARSING.locked())
        return parse(*arguments, **options)

    monkeypatch.setattr(ast, "parse", parse_watched)
    run, _ = plan_run(root)
    edit(root / "experiments/fine.ipynb", "rate", "rate ")  # Nothing of it is known yet.
    held.clear()
    execution.prepare(run, root)
    assert held and all(held)


def test_a_user_without_a_home_keeps_the_result(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def find_none() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", find_none)
    run, ledger = plan_run(root)
    assert execute(run, root, ledger).metrics == {"test_accuracy": 0.75}
    assert ledger.executed_path(NAME).is_file()


def test_the_kernel_is_this_python_in_the_repositorys_root(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a kernelspec named python3 belongs to another environment, as it does on many machines."""
    foreign = root / "jupyter" / "kernels" / "python3"
    foreign.mkdir(parents=True)
    spec = {"argv": ["/nonexistent/python", "-f", "{connection_file}"], "display_name": "x", "language": "python"}
    (foreign / "kernel.json").write_text(json.dumps(spec))
    monkeypatch.setenv("JUPYTER_PATH", str(root / "jupyter"))
    monkeypatch.setenv("GOMP_SPINCOUNT", "1000")
    run, ledger = plan_run(root, "tells-where-it-is.ipynb")
    execute(run, root, ledger, threads=1)
    kept = json.loads(ledger.executed_path(NAME).read_text())
    outputs = {cell["id"]: cell["outputs"] for cell in kept["cells"] if cell["cell_type"] == "code"}
    interpreter = sys.executable.replace(sys.prefix, "<python>")
    assert outputs["place"][0]["text"] == [f". {interpreter} 1000 1\n"]
    assert outputs["pictures"][0]["data"] == {
        "text/plain": "[pictures of the data set: not kept here; run the notebook to see them]"
    }
    assert [list(output["data"]) for output in outputs["figures"]] == [["image/png", "text/plain"], ["text/plain"]]


def test_a_stopped_run_is_interrupted_and_not_failed(root: Path) -> None:
    run, ledger = plan_run(root, "waits.ipynb")
    kernels = Kernels()
    workspace = Workspace(root / ".cache", NAME, fingerprint(run, root).key)
    caught: list[BaseException] = []

    def work() -> None:
        try:
            execute(run, root, ledger, kernels=kernels)
        except RunFailed as error:
            caught.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    wait_for(workspace.checkpoint.is_file)
    kernels.stop()
    thread.join(timeout=60)
    assert [type(error) for error in caught] == [RunInterrupted]
    assert workspace.checkpoint.is_file()
    assert ledger.failures() == {}


def test_a_second_process_cannot_run_the_same_run(root: Path) -> None:
    run, ledger = plan_run(root)
    workspace = Workspace(root / ".cache", NAME, fingerprint(run, root).key)
    with workspace.lock(), pytest.raises(RunFailed) as caught:
        execute(run, root, ledger)
    assert str(caught.value) == "tiny-z2-s0: another process is running it; wait for that or stop it"


def test_a_worker_waits_for_the_one_before_it_that_is_being_ended(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiments.running.workspace._LOCK_POLL_SECONDS", 0.01)
    run, _ = plan_run(root)
    workspace = Workspace(root / ".cache", NAME, fingerprint(run, root).key)
    locked, ending = threading.Event(), threading.Event()

    def hold() -> None:
        with workspace.lock("workers"):
            locked.set()
            ending.wait(timeout=0.5)

    thread = threading.Thread(target=hold)
    thread.start()
    assert locked.wait(timeout=30)
    with pytest.raises(RunBusy), workspace.lock("workers", patience_seconds=0.1):
        pass
    record = Record.from_text(compute_ordered(Order(run), root, workspace).record, "the record")
    thread.join()
    assert record.run == NAME


def test_a_file_system_without_locks_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl", reason="Windows has no such locks")

    def refuse(*_: Any) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(fcntl, "flock", refuse)
    run, ledger = plan_run(root)
    with pytest.raises(ConfigurationError) as caught:
        execute(run, root, ledger)
    assert str(caught.value) == (
        f"{root}/.cache/locks/{NAME}: cannot be locked: Function not implemented; without locks two processes could run "
        "one run: mount the file system with locks, or make .cache a link to a folder on another one"
    )


@pytest.mark.parametrize("other", [{"run": "tiny-z2-s1"}, {"key": "0" * 64}])
def test_an_answer_that_is_not_the_runs_is_no_record(root: Path, other: dict[str, str]) -> None:
    run, ledger = plan_run(root)
    workspace = Workspace(root / ".cache", NAME, fingerprint(run, root).key)
    answer = Answer(make_record(root, NAME, **other).to_text())
    with pytest.raises(RunFailed, match=f"^{NAME}: the answer is that of run '.*', or of other code; run it again$"):
        settle(answer, run, ledger, workspace, root, force=True)
    assert not ledger.records_folder.exists()


@pytest.mark.parametrize(
    ("verb", "how", "code"),
    [
        ("run", signal.SIGINT, 130),
        ("run", signal.SIGTERM, 130),
        ("run", signal.SIGHUP, 130),
        ("run", signal.SIGKILL, -9),
        ("smoke", signal.SIGINT, 130),
        ("smoke", signal.SIGKILL, -9),
    ],
)
def test_a_killed_command_keeps_the_checkpoint_and_leaves_no_kernel(
    root: Path, verb: str, how: signal.Signals, code: int
) -> None:
    plan = root / "experiments" / "plan.yaml"
    plan.write_text(plan.read_text().replace("fine.ipynb", "waits.ipynb"))
    folder = root / (".smoke/cache" if verb == "smoke" else ".cache") / "checkpoints"
    arguments = [verb, NAME] if verb == "run" else [verb, "-j", "1"]
    program = f"import build, pathlib, sys; sys.exit(build.main({arguments}, pathlib.Path({str(root)!r})))"
    # A background job ignores the first, and one under nohup the second.
    listen = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "signal.signal(signal.SIGHUP, signal.SIG_DFL); "
    )
    process = subprocess.Popen(
        [sys.executable, "-c", listen + program], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    wait_for(lambda: list(folder.glob("*/*.pt")))
    process.send_signal(how)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    if how is not signal.SIGKILL:
        assert errors.splitlines()[-1] == "interrupted"
    assert "Traceback" not in errors
    wait_for(lambda: not find_processes(root))
    assert list(folder.glob("*/*.pt"))
    assert list(root.glob("*/records/*")) == list(root.glob("*/failures.jsonl")) == []


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (Unreadable(Path("original.csv"), "it is a link"), RunFailed),  # made of more than its message
        (RecordFault("r.json", "run", "it is another"), RunFailed),
        (GitFailed("git log failed"), GitFailed),
        (RunBusy("another process is running it"), RunBusy),
        (ValueError("a fault of ours"), RunFailed),
    ],
)
def test_whatever_a_worker_raises_travels_back_as_its_answer(error: Exception, kind: type[Exception]) -> None:
    def compute() -> Answer:
        raise error

    answer = pickle.loads(pickle.dumps(catch(compute, NAME)))
    assert (type(answer.error), str(error) in str(answer.error)) == (kind, True)
