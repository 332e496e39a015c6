"""The command line: `python build.py` renders the report from the recorded runs; see `python build.py --help`."""

import codecs
import os
import sys

TYPE_CHECKING = False  # As in typing: each import here would be part of the time that an up-to-date report takes.
if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from experiments.plan import Plan

ROOT = os.path.dirname(os.path.realpath(__file__))
INTERRUPTED = 130
PATIENCE_SECONDS = 3.0  # A signal that comes so long after the first is meant.
CLOSED_PIPE = 141  # as a shell has it for a command that the closed pipe ends


def main(arguments: list[str], root: "str | Path" = ROOT) -> int:
    """Does what the arguments say; returns the exit code. A user's mistake gives a message and no traceback."""
    _open_streams()
    try:
        code = _answer_at_once(arguments, root)
        if code is None:
            code = _carry_out(arguments, root)
        sys.stdout.flush()
    except BrokenPipeError:  # The reader, such as `head`, has seen enough.
        _drop_output()
        return CLOSED_PIPE
    except OSError as error:  # of a file that is open, such as the output
        import errno

        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        _drop_output()  # Most often it is the output that finds no space: that of files is told with their names.
        print(f"error: the output cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # At any moment, while modules are imported too.
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    return code


def _open_streams() -> None:
    """What is said goes nowhere where a stream is closed; a letter that its encoding lacks is spelt as JSON does it."""
    codecs.register_error("spelt", _spell)
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w", encoding="utf-8"))
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="spelt")


def _spell(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    units = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4)), error.end


def _drop_output() -> None:
    """What is left in the buffer of the output is written at exit, where it goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


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
        from experiments.doctor import show_machinery

        python, lock = map(show_machinery, (".venv/bin/python", "requirements-report.lock"))
        remedy = f"use {python}, which `make report` makes, or install {lock}"
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
    from report.arguments import parse

    options = parse(arguments, __doc__)
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
            check=_check_claims,
        )
    if options.verb == "status":
        from report.recollection import say

        runs = options.runs or options.explain or bool(options.patterns)
        how = {"runs": runs, "explain": options.explain, "as_json": options.json, "check": _check_claims}
        return say(root, arguments, lambda: commands.show_status(root, options.patterns, options.group, **how))
    if options.verb == "smoke":
        return commands.rehearse(root, options.jobs) or _report_on_rehearsal(root)
    if options.verb == "accept":
        return commands.accept(root, options.patterns, options.why)
    if options.verb == "clean":
        return commands.clean(root, checkpoints=options.checkpoints, dry=options.dry_run)
    raise AssertionError(f"the parser knows {options.verb!r}, and nothing here does it")


def _check_claims(root: "Path", plan: "Plan") -> list[str]:
    """Imports statistics only where an answer has to be worked out."""
    from report.facts import check_claims

    return check_claims(root, plan)


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

    gc.disable()  # All that a build makes is needed until it ends; to look for garbage in it takes a fifth of the time.
    from report.render import build_report

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
    from report.checking.findings import OF_A_FINISHED_REPORT, list_rules
    from report.checks import check

    if options.list:
        print(list_rules())
        return 0

    listed = check(root, strict=options.strict)
    findings = [finding for finding in listed if options.strict or finding.rule not in OF_A_FINISHED_REPORT]
    errors = [finding for finding in findings if options.strict or finding.severity == "error"]
    if options.json:
        from report.checking.findings_document import format_findings

        print(format_findings(findings, strict=options.strict))
    else:
        for finding in findings:
            print(finding)
        found = f"{len(findings)} finding{'s' if len(findings) != 1 else ''}"
        lacking = dict.fromkeys(finding.rule for finding in listed if finding not in findings)
        rest = f"; --strict tells what a finished report lacks: {', '.join(lacking)}" if lacking else ""
        print((f"{found}, {len(errors)} of them errors" if findings else "everything holds") + rest)
    return Disagreement.exit_code if errors else 0


def _verify(options: "argparse.Namespace", root: "Path") -> int:
    """0 confirmed, also in part, 3 a run disagrees with its record, 1 a run failed, 4 a run could not be judged."""
    from experiments.running.progress import open_monitor
    from report.review.verification import FOLDER, carry_out, plan_verification

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
    from report.diffs.diff import find_difference
    from report.diffs.diff_pages import format_difference

    difference = find_difference(root, options.revision)
    print(format_difference(difference, options.format))
    return difference.exit_code


def _serve(options: "argparse.Namespace", root: "Path") -> int:
    from report.serve import serve

    serve(root, options.port)
    return 0


def _bundle(options: "argparse.Namespace", root: "Path") -> int:
    """Packs the repository with a report that is current: where it is not, it is built first."""
    from report.freshness import missing_if_current
    from report.render import build_report
    from report.review.bundle import write_bundle

    if missing_if_current(root) is None:
        print(build_report(root))
    print(write_bundle(root, options.out))
    return 0


def _interrupt_on_termination() -> None:
    """A polite kill, or a closed terminal, ends a verb as Ctrl-C does: kernels stopped, checkpoint kept, temporary folders removed.

    A signal often comes twice, from the terminal and from what has started this process: it does not disturb the
    clearing up. One that comes later ends it.
    """
    import signal
    import time

    begun: list[float] = []

    def interrupt(*_: object) -> None:
        if begun:
            if time.monotonic() - begun[0] > PATIENCE_SECONDS:
                os._exit(INTERRUPTED)
            return
        begun.append(time.monotonic())
        raise KeyboardInterrupt

    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # Windows has no SIGHUP; under nohup it is ignored and stays so.
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, interrupt)


if __name__ == "__main__":
    import gc

    if ROOT not in sys.path:  # as where PYTHONSAFEPATH is set
        sys.path.insert(0, ROOT)
    code = main(sys.argv[1:])
    gc.freeze()  # What is left goes with the process; to look for garbage in it at exit would take a twentieth of a build.
    sys.exit(code)
