"""The command line: its verbs, messages and exit codes, on a repository as small as can be."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import build
from experiments import commands, doctor
from experiments.execute import find_data
from experiments.ledger import Ledger
from experiments.notebooks import refuse_broken_cells
from experiments.plan import Plan, load_plan
from experiments.running.workspace import Workspace
from experiments.spec import Incomplete
from report.arguments import make_parser, read_duration
from report.checking.findings import Finding
from report.render import OUTPUTS
from tests.processes import CAN_MOUNT, UNSHARE, finish, start_build, wait_for
from tests.schemas import faults_of
from tests.small_claims import make_claims
from tests.small_git import commit, git
from tests.small_repository import PLAN, edit, make_record, make_repository

REPOSITORY = Path(__file__).parent.parent
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one record."""
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    root = make_repository(tmp_path / "root")
    Ledger(root / "experiments").save(make_record(root, "tiny-z2-s0"))
    return root


@pytest.fixture
def command(root: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in the small repository: (exit code, stdout, stderr)."""

    def run(*arguments: str) -> tuple[int, str, str]:
        try:
            code = build.main(list(arguments), root)
        except SystemExit as exit_:  # argparse ends like this
            code = exit_.code
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["stauts"], "build.py: error: no command 'stauts'; did you mean 'status'?"),
        (
            ["xyz"],
            (
                "build.py: error: no command 'xyz'; "
                "the commands are report, run, status, check, verify, diff, serve, bundle, smoke, accept, new, doctor, clean"
            ),
        ),
        (["run", "--budget", "soon"], "'soon' is no duration; expected something like 30m, 2h or 1h30m"),
        (["run", "--executor", "lsf"], "argument --executor: invalid choice: 'lsf'"),
        (["run", "--jobs", "0", "tiny-z3-s0"], "argument -j/--jobs: '0' is no number of runs; expected 1 or more"),
        (["check", "--json", "--list"], "argument --list: not allowed with argument --json"),
        (["verify", "--budget", "soon"], "'soon' is no duration; expected something like 30m, 2h or 1h30m"),
        (["verify", "--device", "tpu"], "argument --device: invalid choice: 'tpu'"),
        (["diff"], "the following arguments are required: REV"),
        (["diff", "HEAD", "--format", "html"], "argument --format: invalid choice: 'html'"),
        (["accept", "tiny-z2-s0"], "the following arguments are required: --why"),
        (["status", "tiny-z9-s0"], "error: no run matches 'tiny-z9-s0'; did you mean 'tiny-z4-s0' or "),
        (["status", "sizes"], "error: no run matches 'sizes'; that is a group: --group sizes"),
        (["status", "--group", "size"], "error: plan.yaml: no group 'size'; did you mean 'sizes'?"),
    ],
)
def test_wrong_usage_ends_with_2_and_says_what_is_right(command: Command, arguments: list[str], message: str) -> None:
    code, _, errors = command(*arguments)
    assert code == 2
    assert message in errors
    assert "Traceback" not in errors


def test_every_verb_of_the_help_is_dispatched_and_in_the_readme(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build.main(["--help"], REPOSITORY)
    verbs = re.findall(r"^    (\w+) ", capsys.readouterr().out, re.MULTILINE)
    assert verbs == list(make_parser()[1]) and verbs[0] == "report"
    readme = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert [verb for verb in verbs[1:] if f"`python build.py {verb}" not in readme] == []


def test_the_version_is_the_projects(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        build.main(["--version"], REPOSITORY)
    assert caught.value.code == 0
    version = re.search(r'^version = "(.*)"$', (REPOSITORY / "pyproject.toml").read_text(), re.MULTILINE)[1]
    assert capsys.readouterr().out == f"build.py {version}\n"


def test_status_sums_up_the_groups_with_the_price_of_the_rest_on_each_device_class(command: Command) -> None:
    code, out, errors = command("status")
    rows = [re.split(r"\s{2,}", line.strip()) for line in out.splitlines()]
    assert (code, errors) == (0, "")
    assert rows == [
        ["group", "runs", "rest on cpu", "rest on cuda", "state"],
        ["sizes", "4", "~ 16 s", "? 2 s", "1 measured, 3 pending"],
        ["larger", "2", "~ 14 s", "? 1 s", "2 pending"],
        ["A run of several groups counts in each. ~ extrapolated from other cells' runs, ? by a speed that is a guess"],
        ["5 runs: 1 measured, 4 pending; about 24 s on cpu (extrapolated)"],
    ]
    assert (
        command("status", "--group", "larger")[1].splitlines()[-1]
        == "2 runs: 2 pending; about 14 s on cpu (extrapolated)"
    )


def test_status_shows_each_run_and_the_price_of_the_rest(command: Command) -> None:
    code, out, errors = command("status", "--runs")
    rows = [re.split(r"\s{2,}", line.strip()) for line in out.splitlines()]
    assert (code, errors) == (0, "")
    assert rows == [
        ["run", "state", "result or price", "why"],
        ["tiny-z2-s0", "measured", "75.00%"],
        ["tiny-z2-s1", "pending", "about 4 s on cpu", "planned, not run"],
        ["tiny-z3-s0", "pending", "about 6 s on cpu (extrapolated)", "planned, not run"],
        ["tiny-z3-s1", "pending", "about 6 s on cpu (extrapolated)", "planned, not run"],
        ["tiny-z4-s0", "pending", "about 8 s on cpu (extrapolated)", "planned, not run"],
        ["5 runs: 1 measured, 4 pending; about 24 s on cpu (extrapolated)"],
    ]


def test_status_explains_what_is_stale(root: Path, command: Command) -> None:
    edit(root / "method" / "model.py", "2 * value", "3 * value")
    edit(root / "method" / "data.py", "abc", "abd")
    _, out, _ = command("status", "tiny-z2-s0", "--explain")
    assert "stale" in out
    lines = [line.strip() for line in out.splitlines()]
    assert lines[1].endswith("method.data: a statement outside functions changed")
    assert lines[2] == "method.model: double() changed"


def test_status_for_programs(command: Command) -> None:
    code, out, errors = command("status", "--json", "tiny-z2-*")
    document = json.loads(out)
    assert (code, errors, faults_of("status", document)) == (0, "", [])
    first, second = document["runs"]
    assert (first["run"], first["state"], first["metrics"]) == ("tiny-z2-s0", "measured", {"test_accuracy": 0.75})
    assert (second["state"], second["metrics"]) == ("pending", None)
    assert second["price"] == {"seconds": 4.0, "basis": "recorded", "device_class": "cpu"}
    assert [price["device_class"] for price in second["prices"]] == ["cpu", "cuda"]
    assert document["faults"] == []
    states = {"measured": 1, "pending": 1, "gated": 0, "stale": 0, "failed": 0, "not comparable": 0}
    assert document["summary"] == {"runs": 2, "states": states, "seconds_to_come": 4.0}


def test_status_for_programs_names_the_faults_beside_the_json_and_ends_with_3(root: Path, command: Command) -> None:
    edit(root / "experiments/records/tiny-z2-s0.json", '"test_accuracy": 0.75\n', '"test_accuracy": 0.85\n')
    code, out, errors = command("status", "--json")
    document = json.loads(out)
    assert (code, faults_of("status", document)) == (3, [])
    (fault,) = document["faults"]
    place = "experiments/records/tiny-z2-s0.json"
    assert (fault["place"], fault["field"], fault["found"]) == (place, "metrics.test_accuracy", "0.85")
    assert errors.startswith(f"error: {place}: metrics.test_accuracy: ")


def test_status_of_a_damaged_ledger_names_the_fault_and_ends_with_3(root: Path, command: Command) -> None:
    edit(root / "experiments/records/tiny-z2-s0.json", '"test_accuracy": 0.75\n', '"test_accuracy": 0.85\n')
    code, out, errors = command("status")
    assert code == 3
    assert errors.startswith("error: experiments/records/tiny-z2-s0.json: metrics.test_accuracy: found 0.85, but ")
    assert "sizes" in out
    words = command("status", "tiny-z2-s0")[1].split()
    assert words[:2] == ["run", "state"] and "failed" in words and "pending" not in words


def test_a_dry_run_lists_runs_and_prices_and_runs_nothing(root: Path, command: Command) -> None:
    code, out, _ = command("run", "-n", "--group", "larger")
    assert (code, out.splitlines()) == (
        0,
        [
            "tiny-z3-s0: pending, about 6 s on cpu (extrapolated)",
            "tiny-z4-s0: pending, about 8 s on cpu (extrapolated)",
            "2 runs to do: about 14 s on cpu (extrapolated)",
        ],
    )
    assert len(list((root / "experiments" / "records").iterdir())) == 1


def test_a_dry_run_within_a_budget_lists_what_would_be_begun(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    _, out, _ = command("run", "-n", "--group", "larger", "--budget", "7s")
    assert out.splitlines() == [
        "tiny-z3-s0: pending, about 6 s on cpu (extrapolated)",
        "1 run to do: about 6 s on cpu (extrapolated)",
        "1 more does not fit into 7 s",
    ]
    monkeypatch.setattr(commands, "count_cores", lambda: 2)
    _, out, _ = command("run", "-n", "--group", "larger", "--budget", "8s", "-j", "2")
    assert "2 runs to do" in out and "fit" not in out


def test_on_a_narrow_terminal_no_name_is_cut_and_no_word_is_broken_into_letters(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands.Terminal, "is_terminal", property(lambda _: True))
    monkeypatch.setenv("COLUMNS", "30")
    for arguments, names in ((("status",), ("sizes", "larger")), (("status", "--runs"), ("tiny-z3-s0", "tiny-z4-s0"))):
        _, out, _ = command(*arguments)
        assert all(name in out for name in (*names, "pending")), out
        assert "…" not in out


def test_a_run_of_code_that_is_not_committed_is_warned_of(root: Path, command: Command) -> None:
    def warning() -> str:
        return command("run", "-n", "tiny-z3")[2]

    told = "git has no commit here; a record names the commit of its code: `git init` and commit first"
    assert warning() == f"warning: {told}\n"
    git(root, "init", "--quiet")
    (root / ".gitignore").write_text(".cache/\nfine.ipynb\n", encoding="utf-8")
    commit(root, "all but the notebook")
    end = "; a record names the commit of its code: commit first\n"
    assert warning() == f"warning: not committed: experiments/fine.ipynb{end}"
    (root / ".gitignore").write_text(".cache/\n", encoding="utf-8")
    commit(root, "the notebook too")
    (root / "notes.py").write_text("no code of a run", encoding="utf-8")
    assert warning() == ""
    edit(root / "method" / "model.py", "2 * value", "value * 2")
    with (root / "experiments/plan.yaml").open("a", encoding="utf-8") as plan:
        plan.write("# more\n")
    assert warning() == f"warning: not committed: experiments/plan.yaml, method/model.py{end}"


def test_a_run_whose_repository_git_cannot_read_is_warned_of(root: Path, command: Command) -> None:
    (root / ".git").write_text("gitdir: nowhere", encoding="utf-8")
    code, _, told = command("run", "-n", "tiny-z3")
    assert code == 0
    assert told.startswith("warning: git rev-parse failed: fatal: ")
    assert told.endswith("; the record will not name the commit of its code\n")


def test_a_broken_cell_is_refused_before_anything_is_computed(root: Path, command: Command) -> None:
    notebook = root / "experiments/fine.ipynb"
    content = json.loads(notebook.read_text(encoding="utf-8"))
    content["cells"][-1]["source"] = ["x = 1\n", "y = (\n"]
    notebook.write_text(json.dumps(content), encoding="utf-8")
    code, _, errors = command("run", "tiny-z3-s0")
    number = len(content["cells"])
    assert code == 2 and f"fine.ipynb: cell {number}, line 2: '(' was never closed" in errors
    content["cells"][-1]["source"] = ["x = ", "-" * 20_000, "1"]
    notebook.write_text(json.dumps(content), encoding="utf-8")
    code, _, errors = command("run", "tiny-z3-s0")
    assert code == 2 and errors.endswith(f"error: fine.ipynb: cell {number} is no code: nested too deep\n")
    content["cells"][-1]["source"] = ["%%bash\n", "echo ("]  # IPython's own matter
    notebook.write_text(json.dumps(content), encoding="utf-8")
    refuse_broken_cells(notebook)


@pytest.mark.parametrize("verb", ["status", "doctor"])
def test_without_packages_a_paper_beside_the_machinery_is_told_where_they_are(root: Path, verb: str) -> None:
    code = f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); import build; build.main([{verb!r}], {str(root)!r})"
    done = subprocess.run(
        [sys.executable, "-S", "-E", "-c", code], cwd=root, capture_output=True, text=True, check=False
    )
    told = done.stdout + done.stderr
    for name in (".venv/bin/python", "requirements-report.lock"):
        assert f" {os.path.relpath(REPOSITORY / name, root)}" in told


@pytest.mark.parametrize("verb", ["report", "status", "check", "run", "smoke", "bundle", "verify", "diff", "doctor"])
def test_without_packages_every_verb_says_what_to_do(verb: str) -> None:
    arguments = {"run": ["-n"], "verify": ["-n"], "diff": ["HEAD"], "report": ["--format", "markdown"]}.get(verb, [])
    bare = [sys.executable, "-S", "-E", "build.py", verb, *arguments]  # -S: no site-packages
    run = subprocess.run(bare, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert run.returncode == 5, run.stderr
    assert "Traceback" not in run.stderr
    if verb == "doctor":
        assert "MISSING rich" in run.stdout and "-m pip install -r requirements-report.lock" in run.stdout
    else:
        (line,) = run.stderr.splitlines()
        assert line.startswith("error: ") and "is not installed for" in line and "make report" in line


@pytest.mark.skipif(not CAN_MOUNT, reason="no private mounts here: a read-only file system is not tried")
@pytest.mark.parametrize(
    "verb", [["report"], ["report", "--format", "html"], ["clean"], ["bundle"], ["status"], ["check"]]
)
def test_a_file_system_that_is_read_only_gives_no_traceback(root: Path, verb: list[str]) -> None:
    script = f'mount --bind {root} {root} && mount -o remount,ro,bind {root} && exec "$@"'
    code, out, errors = finish(start_build(root, *verb, prefix=[*UNSHARE, "sh", "-c", script, "sh"]))
    assert code == 0 or "error" in out + errors  # and no traceback, to which `finish` sees


def test_run_runs_what_is_missing_and_leaves_what_is_recorded(root: Path, command: Command) -> None:
    code, out, errors = command("run", "tiny-z2", "-j", "2")
    assert code == 0
    assert out.splitlines()[-1] == "1 recorded, 0 failed, 0 not begun"
    assert "[1/1] tiny-z2-s1: test_accuracy 0.7500 in " in errors
    assert command("run", "tiny-z2")[:2] == (
        0,
        "nothing to run: all 2 chosen runs are recorded; --force runs them again\n",
    )


@pytest.mark.parametrize(("cores", "told"), [(1, "one core; 1 at once"), (2, "2 cores; 2 at once")])
def test_no_more_runs_go_on_at_once_than_there_are_cores(
    command: Command, monkeypatch: pytest.MonkeyPatch, cores: int, told: str
) -> None:
    begun = []
    monkeypatch.setattr(commands, "count_cores", lambda: cores)
    monkeypatch.setattr(commands, "_run", lambda executor, tasks: begun.append(executor.jobs) or 0)
    _, _, errors = command("run", "tiny-z2", "-j", "64")
    assert f"--jobs 64: this process may use {told}\n" in errors
    command("run", "tiny-z2", "-j", "1")
    command("smoke", "-j", "64")
    assert begun == [cores, 1, cores]


def test_a_cluster_is_given_as_many_jobs_as_were_asked_for(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = []
    monkeypatch.setattr(commands, "count_cores", lambda: 1)
    monkeypatch.setattr(commands, "_run", lambda executor, tasks: begun.append(executor.jobs) or 0)
    monkeypatch.setattr(commands, "_find_executor", lambda name: lambda *place, **_: SimpleNamespace(jobs=place[3]))
    _, _, errors = command("run", "tiny-z2", "-j", "64", "--executor", "slurm")
    assert (begun, "--jobs" in errors) == ([64], False)


@pytest.mark.parametrize("arguments", [("run", "-n"), ("status",), ("status", "--json")])
def test_a_claim_that_the_plan_has_too_few_seeds_for_is_warned_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    root = make_claims(tmp_path / "with-claims")
    edit(root / "report/paper/claims.yaml", "    cell: {size: 3}", "    cell: {size: 3}\n    min_seeds: 3")
    for _ in range(2):  # the second time from what was kept
        assert build.main([*arguments], root) == 0
        warnings = [line for line in capsys.readouterr().err.splitlines() if "claims.yaml" in line]
        assert warnings == [
            (
                "warning: claims.yaml: claims.three-reaches-half: tiny-z3 is planned with 2 of the 3 seeds that min_seeds asks "
                "for, so that the claim stays INCONCLUSIVE: plan more, or state now that fewer do"
            )
        ]


@pytest.mark.parametrize("arguments", [("run", "tiny-z2*"), ("run", "-n"), ("status",), ("status", "--json")])
@pytest.mark.parametrize(
    ("faults", "message"),
    [
        (
            {
                "kind: direction": "kind: directin",
                "certainty: seen in primary source\n    kind: thr": "certainty: 7\n    kind: thr",
            },
            (
                "claims.yaml: claims.larger-is-better.kind: found 'directin'; expected direction | trend | equality | "
                "equivalence | threshold | count | compound\n"
                "claims.yaml: claims.three-reaches-half.certainty: found 7; expected a known one; there are seen in "
                "primary source, seen in secondary source, only in the earlier report, carried over by us, ours"
            ),
        ),
        (
            {"worse: {size: 2}": "worse: {size: 5}", "group: sizes\n    cell": "group: size\n    cell"},
            (
                "claims.yaml: claims.larger-is-better: no cell of group 'sizes' with size=5; name exactly one of: size=2; "
                "size=3\n"
                "claims.yaml: claims.three-reaches-half.group: there is no group 'size'; the plan has sizes, larger"
            ),
        ),
        (
            {"quoted: [half]": "quoted: [whole]"},
            "claims.yaml: claims.three-reaches-half.quoted: 'whole' is not in original.csv, which has half",
        ),
    ],
)
def test_a_claim_at_fault_is_told_before_anything_is_run_against_it(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    faults: dict[str, str],
    message: str,
) -> None:
    root = make_claims(tmp_path / "with-claims")
    for old, new in faults.items():
        edit(root / "report/paper/claims.yaml", old, new)
    for _ in range(2):  # the second time from what was kept
        code, out, errors = build.main([*arguments], root), *capsys.readouterr()
        assert (code, errors) == (2, f"error: {message}\n")
        assert bool(out) == (arguments[0] == "status")
    assert not list((root / "experiments").glob("records/*.json"))


def test_a_label_of_no_parameter_is_told_before_anything_is_run(tmp_path: Path, capsys) -> None:
    root = make_claims(tmp_path / "with-claims")
    (root / "report/paper/tables.yaml").write_text("version: 1\nlabels: {sise: Edge}\ntables: {}\n")
    assert build.main(["run", "tiny-z2*"], root) == 2
    message = "error: tables.yaml: labels: no run has a parameter 'sise'; did you mean 'size' or 'seed'?\n"
    assert capsys.readouterr().err == message


def test_a_stale_record_is_run_again_and_replaced(root: Path, command: Command) -> None:
    edit(root / "method" / "model.py", "2 * value", "value * 2")
    code, out, _ = command("run", "tiny-z2-s0")
    assert code == 0
    assert out.splitlines()[0] == "tiny-z2-s0: stale (method.model: double() changed), about 4 s on cpu"
    assert command("status", "tiny-z2-s0")[1].splitlines()[-1] == "1 run: 1 measured"


def test_a_failed_run_ends_with_1(root: Path, command: Command) -> None:
    edit(root / "experiments" / "plan.yaml", "fine.ipynb", "raises.ipynb")
    (root / "experiments/records/tiny-z2-s0.json").unlink()
    code, out, errors = command("run", "tiny-z3-*")
    assert code == 1
    assert "FAILED tiny-z3-s0: raises.ipynb: cell [3] raised ValueError" in errors
    assert out.splitlines()[-2:] == [
        "0 recorded, 1 failed, 1 not begun",
        "  not begun: tiny-z3-s1: another run failed; --keep-going begins the others all the same",
    ]
    assert "failed" in command("status", "tiny-z3-s0")[1]


def test_runs_that_need_a_missing_device_end_with_5(root: Path, command: Command, monkeypatch) -> None:
    (root / "experiments" / "plan.yaml").write_text(PLAN.replace("    grid:", "    needs: cuda\n    grid:"))
    monkeypatch.setattr(doctor, "find_devices", lambda: ("cpu",))
    code, out, errors = command("run", "tiny-z4-s0")
    assert (code, out) == (5, "tiny-z4-s0: not run, needs a CUDA device\n")
    assert errors == "error: all 1 runs need a device that this machine lacks; see `build.py doctor`\n"


def test_a_stale_record_is_accepted_for_a_reason(root: Path, command: Command) -> None:
    edit(root / "method" / "model.py", "2 * value", "value * 2")
    assert command("accept", "tiny-z2-s0", "--why", "the same product")[:2] == (
        0,
        "tiny-z2-s0: accepted, although method.model: double() changed\n",
    )
    assert "accepted: the same product" in command("status", "tiny-z2-s0")[1]


def test_a_pattern_accepts_what_is_recorded_of_a_plan_that_is_not_complete(root: Path, command: Command) -> None:
    edit(root / "method" / "model.py", "2 * value", "value * 2")
    assert command("accept", "tiny-*", "--why", "the same product") == (
        0,
        "tiny-z2-s0: accepted, although method.model: double() changed\n",
        "",
    )


@pytest.mark.parametrize(
    ("run", "message"),
    [
        ("tiny-z2-s0", "accept: the record of 'tiny-z2-s0' is not stale; there is nothing to accept"),
        ("tiny-z2-s1", "accept: run 'tiny-z2-s1' has no record; run it first"),
        ("tiny-z3-*", "accept: none of the 2 chosen runs has a record; run them first"),
    ],
)
def test_there_must_be_something_to_accept(command: Command, run: str, message: str) -> None:
    assert command("accept", run, "--why", "x") == (2, "", f"error: {message}\n")


def test_clean_keeps_records_and_checkpoints(root: Path, command: Command) -> None:
    for name in (".cache/figures/a.svg", ".cache/build.json", ".cache/checkpoints/r/x.pt", "report/out/report.md"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x")
    expected = "would remove report/out\nwould remove .cache/build.json\nwould remove .cache/figures\n"
    kept = "kept .cache/checkpoints, from which unfinished runs go on; --checkpoints removes it too\n"
    assert command("clean", "-n") == (0, expected + kept, "")
    assert command("clean")[1] == expected.replace("would remove", "removed") + kept
    assert sorted(path.name for path in (root / ".cache").iterdir()) == ["checkpoints"]
    assert command("clean", "--checkpoints")[1] == "removed .cache/checkpoints\n"
    assert (root / "experiments/records/tiny-z2-s0.json").is_file()


def test_clean_keeps_what_slurm_s_jobs_will_answer(root: Path, command: Command) -> None:
    """A driver that was killed has left a note of its job, which waits in the queue or has answered already."""
    for name in ("tiny-z3-s0.json", "jobs/7_submitted.pkl", "jobs/7_0_result.pkl"):
        (root / ".cache/slurm" / name).parent.mkdir(parents=True, exist_ok=True)
        (root / ".cache/slurm" / name).write_text("x")
    kept = "kept .cache/slurm, from which the answers of Slurm's jobs are taken; --checkpoints removes it too\n"
    assert command("clean") == (0, kept, "")
    assert len(list((root / ".cache/slurm").rglob("*.*"))) == 3
    assert command("clean", "--checkpoints")[1] == "removed .cache/slurm\n"


def test_clean_removes_a_link_and_not_what_it_leads_to(root: Path, command: Command, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/kept.txt").write_text("x")
    (root / "report").mkdir(exist_ok=True)
    (root / "report/out").symlink_to(tmp_path / "elsewhere")
    assert command("clean")[:2] == (0, "removed report/out\n")
    assert (tmp_path / "elsewhere/kept.txt").is_file() and not (root / "report/out").is_symlink()


def test_doctor_ends_with_5_where_the_report_cannot_be_built(command: Command, monkeypatch) -> None:
    def examine(vital: bool) -> Callable[..., list[doctor.Need]]:
        return lambda *_: [doctor.Need("pandoc", False, "not there", "the report", "install it", vital)]

    monkeypatch.setattr(doctor, "examine", examine(vital=False))
    assert command("doctor")[0] == 0
    monkeypatch.setattr(doctor, "examine", examine(vital=True))
    code, out, _ = command("doctor")
    assert code == 5
    assert re.split(r"\s{2,}", out.splitlines()[1].strip()) == [
        "MISSING",
        "pandoc",
        "not there",
        "the report",
        "install it",
    ]


def test_doctor_tells_what_is_there_from_what_is_not(root: Path, monkeypatch) -> None:
    monkeypatch.setattr(doctor, "_RUN_PACKAGES", {"papermill": "papermill", "no-such-package": "no_such_module"})
    (root / "method/data.py").write_text("import no_such_module, neither\nimport yaml\nCHECKSUM = 1\n")
    plan = load_plan(root / "experiments" / "plan.yaml")
    found = {item.name: item for item in doctor.examine(root, replace(plan, data={"a data set": "its-folder"}))}
    assert [name for name, item in found.items() if item.vital and not item.good] == []
    assert found["papermill"].good and found["pandoc"].found[0].isdigit()
    assert (found["no-such-package"].good, found["no-such-package"].found) == (False, "not installed")
    assert (found["neither"].good, found["neither"].found) == (
        False,
        "ModuleNotFoundError: No module named 'neither'",
    )
    assert "yaml" not in found and "no_such_module" not in found
    assert (found["a data set"].good, found["a data set"].found) == (False, "not there")
    assert all(item.remedy and item.purpose for item in found.values())


def test_doctor_looks_for_data_where_a_run_does(root: Path, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "sets/its-folder").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("REPRODUCTION_DATA", "~/sets")
    assert find_data() == tmp_path / "sets"
    assert doctor._examine_data(root, "a data set", "its-folder").good


def test_doctor_asks_for_what_the_notebooks_import_and_for_a_gpu_where_one_is_planned(root: Path, monkeypatch) -> None:
    monkeypatch.setattr(doctor, "_try_imports", lambda modules: (dict.fromkeys(modules, ""), ""))
    plan = load_plan(root / "experiments" / "plan.yaml")

    def ask(plan: Plan) -> set[str]:
        needs = {item.name for item in doctor.examine(root, plan) if item.purpose != "the report"}
        return needs - {"papermill", "ipykernel", "jupyter-client", "psutil", "git", "latexmk"}

    assert ask(replace(plan, speed={"cpu": 1.0})) == set()
    assert ask(replace(plan, speed={"cpu": 1.0, "cuda": 9.0})) == {"torch", "nvidia-ml-py", "CUDA device"}
    (root / "method/data.py").write_text("from sklearn.datasets import load_digits\nCHECKSUM = 1\n")
    assert ask(replace(plan, speed={"cpu": 1.0})) == {"scikit-learn"}


def test_doctor_finds_half_an_installation() -> None:
    assert doctor._try_imports(["json", "no_such_module"]) == (
        {"json": "", "no_such_module": "ModuleNotFoundError: No module named 'no_such_module'"},
        "",
    )


def test_report_writes_the_chosen_format_into_the_chosen_folder(tmp_path: Path, capsys) -> None:
    out = tmp_path / "paper"
    assert build.main(["report", "--format", "markdown", "--out", str(out)], REPOSITORY) == 0
    assert capsys.readouterr().out.startswith(os.path.relpath(out))
    assert sorted(path.name for path in out.glob("report.*")) == ["report.md"]


def test_every_format_of_the_command_line_is_one_of_the_renderer(capsys) -> None:
    with pytest.raises(SystemExit):
        build.main(["report", "--help"], REPOSITORY)
    assert f"{{{','.join(OUTPUTS)}}}" in capsys.readouterr().out


def test_options_without_a_verb_are_those_of_report(root: Path, command: Command, monkeypatch) -> None:
    def build_report(*_: object, **__: object) -> None:
        raise Incomplete("4 runs are pending")

    monkeypatch.setattr("report.render.build_report", build_report)
    assert command("--require-complete") == (4, "", "error: 4 runs are pending\n")


@pytest.mark.parametrize(
    ("severities", "strict", "code"),
    [((), False, 0), (("warning",), False, 0), (("warning",), True, 3), (("warning", "error"), False, 3)],
)
def test_check_ends_with_3_where_something_does_not_hold(
    command: Command, monkeypatch, severities: tuple[str, ...], strict: bool, code: int
) -> None:
    findings = [SimpleNamespace(rule="record-dirty", severity=severity) for severity in severities]
    monkeypatch.setattr("report.checks.check", lambda root, strict: findings)
    assert command("check", *(["--strict"] if strict else []))[0] == code


def test_a_check_names_what_only_a_finished_report_needs_though_it_lists_it_with_strict_alone(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    finding = Finding("claim-untested", "report/paper/claims.yaml: a", "no run tests it yet")
    monkeypatch.setattr("report.checks.check", lambda root, strict: [finding])
    told = "everything holds; --strict tells what a finished report lacks: claim-untested\n"
    assert command("check")[:2] == (0, told)
    assert command("check", "--strict")[:2] == (3, f"{finding}\n1 finding, 1 of them errors\n")


@pytest.mark.parametrize(("strict", "code"), [(False, 0), (True, 3)])
def test_check_for_programs_prints_the_json_alone(command: Command, monkeypatch, strict: bool, code: int) -> None:
    finding = Finding("record-dirty", "experiments/records/a.json", "it was made from files that differed", "x", "y")
    monkeypatch.setattr("report.checks.check", lambda root, strict: [finding])
    found, out, errors = command("check", "--json", *(["--strict"] if strict else []))
    document = json.loads(out)
    assert (found, errors, faults_of("check", document)) == (code, "", [])
    assert (document["strict"], document["holds"]) == (strict, not strict)
    assert (document["errors"], document["warnings"]) == (0, 1)
    assert document["findings"] == [
        {
            "rule": "record-dirty",
            "severity": "warning",
            "place": "experiments/records/a.json",
            "message": "it was made from files that differed",
            "expected": "x",
            "found": "y",
            "fix": finding.fix,
        }
    ]


def test_an_interruption_ends_with_130(command: Command, monkeypatch) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("report.render.build_report", interrupt)
    assert command("report", "--format", "html") == (130, "", "interrupted\n")


@pytest.mark.parametrize("verb", [["run", "-n"], ["status", "--runs"]])
def test_a_closed_pipe_ends_a_verb_without_a_traceback(root: Path, verb: list[str]) -> None:
    git(root, "init", "--quiet")
    commit(root, "a state")  # else a run is warned of
    code = f"import build, pathlib, sys; sys.exit(build.main({verb!r}, pathlib.Path({str(root)!r})))"
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, cwd=REPOSITORY, check=False)
    os.close(writer)
    assert (done.returncode, done.stderr) == (build.CLOSED_PIPE, b"")


def in_a_process(root: Path, *arguments: str, **options: Any) -> "subprocess.CompletedProcess[bytes]":
    code = f"import build, pathlib, sys; sys.exit(build.main({list(arguments)!r}, pathlib.Path({str(root)!r})))"
    return subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, cwd=REPOSITORY, check=False, **options)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize("arguments", [["status"], ["status", "--json"], ["check", "--list"], ["run", "-n"]])
def test_an_output_that_takes_no_more_ends_a_verb_with_1_and_without_a_traceback(
    root: Path, arguments: list[str]
) -> None:
    git(root, "init", "--quiet")
    commit(root, "a state")  # else a run is warned of
    with open("/dev/full", "wb") as full:
        done = in_a_process(root, *arguments, stdout=full)
    message = b"error: the output cannot be written: No space left on device\n"
    assert (done.returncode, done.stderr) == (1, message)


@pytest.mark.parametrize("closed", [1, 2])
def test_a_closed_stream_changes_no_exit_code(root: Path, closed: int) -> None:
    git(root, "init", "--quiet")
    commit(root, "a state")  # else a run is warned of
    for arguments in (["status"], ["status"], ["run", "-n"]):
        done = in_a_process(root, *arguments, stdout=subprocess.PIPE, preexec_fn=lambda: os.close(closed))
        assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("encoding", ["latin-1", "ascii"])
def test_a_letter_that_the_output_has_not_is_spelt_out(root: Path, encoding: str) -> None:
    error, ledger = "ValueError: a \N{RIGHTWARDS ARROW} \N{GRINNING FACE}", Ledger(root / "experiments")
    key = make_record(root, "tiny-z2-s1").key
    ledger.log_failure("tiny-z2-s1", key, error, "fine.ipynb")
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    text, document = (
        in_a_process(root, "status", how, stdout=subprocess.PIPE, env=environment) for how in ("--runs", "--json")
    )
    assert (text.returncode, text.stderr, document.returncode, document.stderr) == (0, b"", 0, b"")
    assert rb"ValueError: a \u2192 \ud83d\ude00" in text.stdout
    assert error in {run["why"] for run in json.loads(document.stdout)["runs"]}


def test_a_polite_kill_of_a_build_leaves_no_process_and_no_folder(tmp_path: Path) -> None:
    out = tmp_path / "place" / "out"
    command = [sys.executable, "build.py", "report", "--out", str(out)]
    process = subprocess.Popen(command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for(lambda: list(out.parent.glob(".out-*")))
    process.terminate()
    output = process.communicate(timeout=30)  # ends only when no child holds the pipes
    assert (process.returncode, output) == (build.INTERRUPTED, (b"", b"interrupted\n"))
    assert list(out.parent.iterdir()) == []


def test_the_up_to_date_check_imports_nothing_heavy() -> None:
    code = (
        "import sys, build, report.freshness as f; f.missing_if_current = lambda root: ['sizes: 4 runs']; "
        "assert build.main([]) == 0; "
        "print(sorted(set(sys.modules) & {'argparse', 'yaml', 'pandas', 'rich', 'jinja2', 'experiments.spec'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout == "the report is up to date: report/out; still to run:\n  sizes: 4 runs\n[]\n"


def test_it_finds_itself_where_python_does_not_look_beside_the_script() -> None:
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, REPOSITORY / "build.py", "--version"]
    done = subprocess.run(
        command, env=variables | {"PYTHONSAFEPATH": "1"}, cwd="/", capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_status_that_is_known_imports_nothing_heavy(root: Path) -> None:
    code = (
        "import sys, build; build.main(['status'], sys.argv[1]); before = set(sys.modules); assert before >= {'yaml'}; "
        "names = {name for name in before if name.split('.')[0] in ('rich', 'yaml', 'experiments', 'argparse', 'json')}; "
        "[sys.modules.pop(name) for name in names]; build.main(['status'], sys.argv[1]); print(names & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, root], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("\nset()\n")


@pytest.mark.parametrize(("text", "seconds"), [("90s", 90.0), ("30m", 1800.0), ("1h30m", 5400.0), ("2d", 172_800.0)])
def test_durations_are_read(text: str, seconds: float) -> None:
    assert read_duration(text) == seconds


def test_nothing_is_cleaned_away_under_a_run(root: Path, command: Command) -> None:
    workspace = Workspace(root / ".cache", "tiny-z3-s0", "0" * 64)
    with workspace.lock():
        workspace.begin()
        assert command("clean") == (2, "", "error: clean: tiny-z3-s0 is running; wait for it or stop it\n")
        assert workspace.attempts.is_file()
    assert command("clean")[0] == 0


def test_a_broken_record_blocks_no_other_run_and_is_replaced_by_force(root: Path, command: Command) -> None:
    path = Ledger(root / "experiments").record_path("tiny-z2-s0")
    path.write_text("{")
    assert command("run", "tiny-z3-s0")[0] == 0
    code, _, errors = command("run", "tiny-z2-s0")
    assert code == 2
    assert "the record of 'tiny-z2-s0' is broken; restore it, or replace it by --force" in errors
    assert command("run", "tiny-z2-s0", "--force")[0] == 0
    assert json.loads(path.read_text())["run"] == "tiny-z2-s0"


def test_a_data_root_that_is_no_folder_is_refused_before_a_kernel_starts(command: Command, monkeypatch) -> None:
    monkeypatch.setenv("REPRODUCTION_DATA", "/no/such/folder")
    code, _, errors = command("run", "tiny-z3-s0")
    assert code == 2
    assert "$REPRODUCTION_DATA is '/no/such/folder', which is no folder; name the folder of the data sets" in errors


def test_more_threads_than_cores_are_refused_before_a_run_is_begun(command: Command, monkeypatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4096")
    code, _, errors = command("run", "tiny-z3-s0")
    assert code == 2
    assert "error: $OMP_NUM_THREADS is '4096', and this process may use " in errors
