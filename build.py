"""The command line: `python build.py` renders the report from the recorded runs; see `python build.py --help`."""

import os
import sys

TYPE_CHECKING = False  # As in typing: each import here would be part of the time that an up-to-date report takes.
if TYPE_CHECKING:
    import argparse
    from pathlib import Path

ROOT = os.path.dirname(os.path.realpath(__file__))
VERSION = "0.1.0"
VERBS = (
    "report",
    "run",
    "status",
    "check",
    "verify",
    "diff",
    "serve",
    "bundle",
    "smoke",
    "accept",
    "new",
    "doctor",
    "clean",
)
INTERRUPTED = 130
CLOSED_PIPE = 141  # as a shell has it for a command that the closed pipe ends


def main(arguments: list[str], root: "str | Path" = ROOT) -> int:
    """Does what the arguments say; returns the exit code. A user's mistake gives a message and no traceback."""
    try:
        code = _answer_at_once(arguments, root)
        if code is None:
            code = _carry_out(arguments, root)
        sys.stdout.flush()
    except BrokenPipeError:  # The reader, such as `head`, has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # What is left is written at exit.
        return CLOSED_PIPE
    except KeyboardInterrupt:  # At any moment, while modules are imported too.
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    return code


def _carry_out(arguments: list[str], root: "str | Path") -> int:
    from pathlib import Path

    from experiments.spec import MissingTool, ReproductionError

    try:
        return _dispatch(arguments, Path(root))
    except ReproductionError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        if (Path(ROOT) / (error.name or "").partition(".")[0]).exists():  # a fault of ours, not of the machine
            raise
        remedy = "use .venv/bin/python, which `make report` makes, or install requirements-report.lock"
        print(f"error: {error.name} is not installed for {sys.executable}; {remedy}", file=sys.stderr)
        return MissingTool.exit_code
    except OSError as error:
        if error.filename is None:  # not of a file
            raise
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1


def _answer_at_once(arguments: list[str], root: "str | Path") -> int | None:
    """The quick way out where nothing has changed, before anything heavy is imported; None where there is none."""
    if arguments[:1] == ["status"]:
        from report.recollection import say_again

        return say_again(root, arguments)
    if arguments not in ([], ["report"]):
        return None
    from report.freshness import missing_if_current

    missing = missing_if_current(root)
    if missing is None:
        return None
    print("the report is up to date: report/out" + ("; still to run:" if missing else ""))
    for line in missing:
        print(f"  {line}")
    return 0


def _dispatch(arguments: list[str], root: "Path") -> int:
    options = _parse(arguments)
    _interrupt_on_termination()
    of_the_report = {
        "report": _report,
        "check": _check,
        "verify": _verify,
        "diff": _diff,
        "serve": _serve,
        "bundle": _bundle,
    }
    if options.verb in of_the_report:
        return of_the_report[options.verb](options, root)
    if options.verb == "doctor":
        return _doctor(root)
    if options.verb == "new":
        return _new(options)
    from experiments import commands

    if options.verb == "run":
        from report.facts import check_claims

        return commands.run_runs(
            root,
            options.patterns,
            options.group,
            jobs=options.jobs,
            force=options.force,
            dry=options.dry_run,
            keep_going=options.keep_going,
            budget_seconds=options.budget,
            executor=options.executor,
            check=check_claims,
        )
    if options.verb == "status":
        from report.facts import check_claims
        from report.recollection import say

        runs = options.runs or options.explain or bool(options.patterns)
        how = {"runs": runs, "explain": options.explain, "as_json": options.json, "check": check_claims}
        return say(root, arguments, lambda: commands.show_status(root, options.patterns, options.group, **how))
    if options.verb == "smoke":
        return commands.rehearse(root, options.jobs) or _report_on_rehearsal(root)
    if options.verb == "accept":
        return commands.accept(root, options.patterns, options.why)
    return commands.clean(root, checkpoints=options.checkpoints, dry=options.dry_run)


def _new(options: "argparse.Namespace") -> int:
    from report.new_paper import lay_out

    print(lay_out(options.folder))
    return 0


def _doctor(root: "Path") -> int:
    """Also where nothing is installed, for then it is asked most."""
    from experiments import doctor
    from experiments.spec import MissingTool

    if missing := doctor.find_missing():
        print(missing)
        return MissingTool.exit_code
    from experiments import commands

    return commands.diagnose(root)


def _report(options: "argparse.Namespace", root: "Path") -> int:
    import gc

    from report.render import build_report

    gc.disable()  # All that a build makes is needed until it ends; to look for garbage in it takes a fifth of the time.
    built = build_report(
        root,
        out=options.out,
        formats=options.format,
        pdf=options.pdf,
        require_complete=options.require_complete,
    )
    print(built)
    return 0


def _report_on_rehearsal(root: "Path") -> int:
    from report.render import build_report

    print(build_report(root, smoke=True, out=root / ".smoke" / "report"))
    return 0


def _check(options: "argparse.Namespace", root: "Path") -> int:
    """3 where anything does not hold; warnings count only with --strict."""
    from experiments.spec import Disagreement
    from report.checks import check
    from report.findings import list_rules

    if options.list:
        print(list_rules())
        return 0

    findings = check(root, strict=options.strict)
    errors = [finding for finding in findings if options.strict or finding.severity == "error"]
    if options.json:
        from report.findings_document import format_findings

        print(format_findings(findings, strict=options.strict))
    else:
        for finding in findings:
            print(finding)
        found = f"{len(findings)} finding{'s' if len(findings) != 1 else ''}"
        print(f"{found}, {len(errors)} of them errors" if findings else "everything holds")
    return Disagreement.exit_code if errors else 0


def _verify(options: "argparse.Namespace", root: "Path") -> int:
    """0 confirmed, 3 a run disagrees with its record, 1 a run failed, 4 a run could not be judged."""
    from experiments.progress import open_monitor
    from report.verification import FOLDER, carry_out, plan_verification

    chosen = options.patterns, options.group
    check = plan_verification(root, *chosen, budget_seconds=options.budget, device_class=options.device)
    print(check, flush=True)
    if options.dry_run:
        return 0
    folder = options.out or root / FOLDER
    with open_monitor(len(check.picks)) as monitor:
        certificate = carry_out(check, folder, monitor)
    print(f"{os.path.relpath(folder / 'certificate.md')}: {certificate.overall}: {certificate.summary}")
    return certificate.exit_code


def _diff(options: "argparse.Namespace", root: "Path") -> int:
    """By severity: 3 where a conclusion changed, 6 where what conclusions rest on did, 0 otherwise."""
    from report.diff import find_difference
    from report.diff_pages import format_difference

    difference = find_difference(root, options.revision)
    print(format_difference(difference, options.format))
    return difference.exit_code


def _serve(options: "argparse.Namespace", root: "Path") -> int:
    from report.serve import serve

    serve(root, options.port)
    return 0


def _bundle(options: "argparse.Namespace", root: "Path") -> int:
    """Packs the repository with a report that is current: where it is not, it is built first."""
    from report.bundle import write_bundle
    from report.freshness import missing_if_current
    from report.render import build_report

    if missing_if_current(root) is None:
        print(build_report(root))
    print(write_bundle(root, options.out))
    return 0


def _parse(arguments: list[str]) -> "argparse.Namespace":
    """The options, with `verb`; no verb means `report`."""
    import difflib

    parser = make_parser()
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help", "--version")):
        arguments = ["report", *arguments]
    verb = arguments[0]
    if not verb.startswith("-") and verb not in VERBS:
        near = difflib.get_close_matches(verb, VERBS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"the commands are {', '.join(VERBS)}"
        parser.error(f"no command {verb!r}; {hint}")
    return parser.parse_args(arguments)


def make_parser() -> "argparse.ArgumentParser":
    """The parser of the command line, with one of its own for each verb."""
    import argparse

    parser = argparse.ArgumentParser(prog="build.py", description=__doc__, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"build.py {VERSION}")
    verbs = parser.add_subparsers(dest="verb", metavar="command", title="commands")
    for add in (_add_report, _add_run, _add_status_and_check, _add_verify, _add_diff, _add_other_verbs):
        add(verbs)
    return parser


def _add_report(verbs: "argparse._SubParsersAction") -> None:
    from pathlib import Path

    report = verbs.add_parser("report", help="the report in every format, from what is recorded; never trains")
    report.add_argument(
        "--format", action="append", choices=("markdown", "latex", "html", "pdf"), help="only this one; may be repeated"
    )
    report.add_argument("--pdf", choices=("typst", "latexmk"), default="typst", help="what makes it (default: typst)")
    report.add_argument("--out", type=Path, help="another folder than report/out")
    report.add_argument("--require-complete", action="store_true", help="end with 4 where a planned run is missing")


def _add_run(verbs: "argparse._SubParsersAction") -> None:
    run = verbs.add_parser("run", help="run what is missing or stale, through papermill")
    _add_selection(run)
    run.add_argument("-j", "--jobs", type=_read_jobs, default=1, metavar="N", help="as many runs at once (default: 1)")
    run.add_argument(
        "--executor",
        choices=("local", "slurm", "ray"),
        default="local",
        help="where runs are run: this machine, a Slurm cluster or a Ray cluster (default: local)",
    )
    run.add_argument("-n", "--dry-run", action="store_true", help="only show what would be run, and its price")
    run.add_argument("--force", action="store_true", help="run also what is recorded, and from the beginning")
    run.add_argument("--budget", type=_read_duration, metavar="TIME", help="begin no run that does not fit: 30m, 2h")
    run.add_argument("-k", "--keep-going", action="store_true", help="go on after a run has failed")


def _add_status_and_check(verbs: "argparse._SubParsersAction") -> None:
    status = verbs.add_parser("status", help="each group of the plan: what is recorded, and the price of the rest")
    _add_selection(status)
    status.add_argument("--runs", action="store_true", help="each run instead; so do patterns and --explain")
    status.add_argument("--explain", action="store_true", help="all that makes a record stale")
    status.add_argument("--json", action="store_true", help="for programs: report/schemas/status.schema.json")
    check = verbs.add_parser("check", help="rebuild everything elsewhere and compare it with what is tracked")
    check.add_argument("--strict", action="store_true", help="warnings count as errors; asks TeX too where it is")
    instead = check.add_mutually_exclusive_group()
    instead.add_argument("--json", action="store_true", help="for programs: report/schemas/check.schema.json")
    instead.add_argument("--list", action="store_true", help="every rule, and what to do where it is broken")


def _add_verify(verbs: "argparse._SubParsersAction") -> None:
    from pathlib import Path

    verify = verbs.add_parser(
        "verify",
        help="a reviewer's spot check: runs a few recorded runs again, judges them, and writes a certificate",
        epilog="Ends with 0 where the runs agree with their records, with 3 where one does not, with 1 where one failed, "
        "with 4 where one could not be judged. The ledger is not touched.",
    )
    _add_selection(verify)
    verify.add_argument(
        "--budget",
        type=_read_duration,
        default=600.0,
        metavar="TIME",
        help="what the runs may cost: those of most information for it are picked (default: 10m)",
    )
    verify.add_argument("--device", choices=("cpu", "cuda"), help="where to compute (default: as each was recorded)")
    verify.add_argument("--out", type=Path, metavar="FOLDER", help="another folder than .verify")
    verify.add_argument("-n", "--dry-run", action="store_true", help="only show what would be run again, and why")


def _add_diff(verbs: "argparse._SubParsersAction") -> None:
    diff = verbs.add_parser(
        "diff",
        help="what changed in meaning since a revision: verdicts, numbers, settings, rules, plan, records, prices",
        epilog="Ends with 3 where a verdict, the title or a main number changed; with 6 where only what they rest on "
        "did: records, rules, plan, quoted values, other numbers; with 0 where nothing did, or words and prices alone.",
    )
    diff.add_argument("revision", metavar="REV", help="a commit, branch or tag; the other side is the working tree")
    diff.add_argument(
        "--format",
        choices=("text", "markdown", "json"),
        default="text",
        help="default: text; json as report/schemas/diff.schema.json has it",
    )


def _add_other_verbs(verbs: "argparse._SubParsersAction") -> None:
    from pathlib import Path

    serve = verbs.add_parser("serve", help="show the web page on this machine, and build it again on every change")
    serve.add_argument("--port", type=_read_port, default=8000, metavar="N", help="default: 8000; 0: any that is free")
    bundle = verbs.add_parser("bundle", help="all that a reviewer needs, in one zip: an RO-Crate")
    bundle.add_argument("--out", type=Path, metavar="ZIP", help="another file than reviewer-bundle.zip")
    smoke = verbs.add_parser("smoke", help="the whole way on an embedded data set, in about a minute, into .smoke")
    smoke.add_argument(
        "-j", "--jobs", type=_read_jobs, default=2, metavar="N", help="as many runs at once (default: 2)"
    )
    accept = verbs.add_parser("accept", help="keep a stale record, for a reason that is stored in it")
    accept.add_argument("patterns", nargs="+", metavar="RUN", help="names of runs or cells, with * and ?")
    accept.add_argument("--why", required=True, help="why the record still counts")
    new = verbs.add_parser("new", help="a small paper that works, in a folder of its own, to begin another one with")
    new.add_argument("folder", type=Path, metavar="FOLDER", help="a new folder, or an empty one")
    verbs.add_parser("doctor", help="what this machine lacks, and for what")
    clean = verbs.add_parser(
        "clean", help="remove generated files, report/out too, which git may track; never a record"
    )
    clean.add_argument("-n", "--dry-run", action="store_true", help="only show what would be removed")
    clean.add_argument("--checkpoints", action="store_true", help="also what unfinished runs would go on from")


def _add_selection(verb: "argparse.ArgumentParser") -> None:
    verb.add_argument("patterns", nargs="*", metavar="PATTERN", help="names of runs or cells, with * and ?")
    verb.add_argument("--group", metavar="G", help="only the runs of this group of the plan")


def _read_jobs(text: str) -> int:
    """How many runs at once: 1 or more."""
    import argparse

    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of runs; expected 1 or more")
    return int(text)


def _read_port(text: str) -> int:
    """A port: 0 to 65535."""
    import argparse

    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; expected 0 to 65535")
    return int(text)


def _read_duration(text: str) -> float:
    """Seconds in `90s`, `30m`, `1h30m` or `2d`."""
    import argparse
    import re

    if not re.fullmatch(r"(\d+[smhd])+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; expected something like 30m, 2h or 1h30m")
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    return float(sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([smhd])", text)))


def _interrupt_on_termination() -> None:
    """A polite kill, or a closed terminal, ends a verb as Ctrl-C does: kernels stopped, checkpoint kept, temporary folders removed."""
    import signal

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    for name in ("SIGTERM", "SIGHUP"):  # Windows has no SIGHUP; under nohup it is ignored and stays so.
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
