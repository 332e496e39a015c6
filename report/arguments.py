"""What may be asked on the command line: every verb with its options. Imports nothing that must be installed."""

import argparse
import difflib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

VERSION = "0.1.0"


class Command(argparse.ArgumentParser):
    """The parser of one verb; its `arguments` are listed, for the documentation."""

    def __init__(self, **options: Any) -> None:
        self.arguments: list[argparse.Action] = []
        super().__init__(**options)

    def add_argument(self, *names: str, **options: Any) -> argparse.Action:
        """As argparse has it; the argument is listed."""
        self.arguments.append(super().add_argument(*names, **options))
        return self.arguments[-1]


Add = Callable[..., Command]  # of a verb, what it does in a line, and options of its parser


def parse(arguments: list[str], description: str | None = None) -> argparse.Namespace:
    """The options, with `verb`; no verb means `report`."""
    parser, verbs = make_parser(description)
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help", "--version")):
        arguments = ["report", *arguments]
    verb = arguments[0]
    if not verb.startswith("-") and verb not in verbs:
        near = difflib.get_close_matches(verb, verbs, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"the commands are {', '.join(verbs)}"
        parser.error(f"no command {verb!r}; {hint}")
    return parser.parse_args(arguments)


def make_parser(description: str | None = None) -> tuple[argparse.ArgumentParser, Mapping[str, Command]]:
    """The parser of the command line, and by its name that of each verb."""
    parser = argparse.ArgumentParser(prog="build.py", description=description, allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"build.py {VERSION}")
    verbs = parser.add_subparsers(dest="verb", metavar="command", title="commands", parser_class=Command)

    def add(name: str, what: str, **options: Any) -> Command:
        return verbs.add_parser(name, help=what, description=what, **options)

    for add_some in (_add_report, _add_run, _add_status_and_check, _add_verify, _add_diff, _add_other_verbs):
        add_some(add)
    return parser, verbs.choices


def _add_report(add: Add) -> None:
    report = add("report", "the report in every format, from what is recorded; never trains")
    report.add_argument(
        "--format", action="append", choices=("markdown", "latex", "html", "pdf"), help="only this one; may be repeated"
    )
    report.add_argument("--pdf", choices=("typst", "latexmk"), default="typst", help="what makes it (default: typst)")
    report.add_argument("--out", type=Path, help="another folder than report/out")
    report.add_argument("--require-complete", action="store_true", help="end with 4 where a planned run is missing")


def _add_run(add: Add) -> None:
    run = add("run", "run what is missing or stale, through papermill")
    _add_selection(run)
    run.add_argument(
        "-j",
        "--jobs",
        type=_read_jobs,
        default=1,
        metavar="N",
        help="as many runs at once, on this machine at most one for each core (default: 1)",
    )
    run.add_argument(
        "--executor",
        choices=("local", "slurm", "ray"),
        default="local",
        help="where runs are run: this machine, a Slurm cluster or a Ray cluster (default: local)",
    )
    run.add_argument("-n", "--dry-run", action="store_true", help="only show what would be run, and its price")
    run.add_argument("--force", action="store_true", help="run also what is recorded, and from the beginning")
    run.add_argument("--budget", type=read_duration, metavar="TIME", help="begin no run that does not fit: 30m, 2h")
    run.add_argument("-k", "--keep-going", action="store_true", help="go on after a run has failed")


def _add_status_and_check(add: Add) -> None:
    status = add("status", "each group of the plan: what is recorded, and the price of the rest")
    _add_selection(status)
    status.add_argument("--runs", action="store_true", help="each run instead; so do patterns and --explain")
    status.add_argument("--explain", action="store_true", help="all that makes a record stale")
    status.add_argument("--json", action="store_true", help="for programs: report/schemas/status.schema.json")
    check = add("check", "rebuild everything elsewhere and compare it with what is tracked")
    check.add_argument(
        "--strict",
        action="store_true",
        help="warnings count as errors, and what a finished report needs is asked; asks TeX too where it is",
    )
    instead = check.add_mutually_exclusive_group()
    shows = {
        "--json": "for programs: report/schemas/check.schema.json",
        "--list": "every rule, and what to do where it is broken",
    }
    check.arguments += [instead.add_argument(name, action="store_true", help=what) for name, what in shows.items()]


def _add_verify(add: Add) -> None:
    verify = add(
        "verify",
        "a reviewer's spot check: runs a few recorded runs again, judges them, and writes a certificate",
        epilog="Ends with 0 where the runs agree with their records, also where the budget ended before some, which is "
        "called `confirmed in part`; with 3 where one does not, with 1 where one failed, with 4 where one could not be "
        "judged or none was begun. The ledger is not touched.",
    )
    _add_selection(verify)
    verify.add_argument(
        "--budget",
        type=read_duration,
        default=600.0,
        metavar="TIME",
        help="what the runs may cost: those of most information for it are picked (default: 10m)",
    )
    verify.add_argument("--device", choices=("cpu", "cuda"), help="where to compute (default: as each was recorded)")
    verify.add_argument("--out", type=Path, metavar="FOLDER", help="another folder than .verify")
    verify.add_argument("-n", "--dry-run", action="store_true", help="only show what would be run again, and why")


def _add_diff(add: Add) -> None:
    diff = add(
        "diff",
        "what changed in meaning since a revision: verdicts, numbers, settings, rules, plan, records, prices",
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


def _add_other_verbs(add: Add) -> None:
    serve = add("serve", "show the web page on this machine, and build it again on every change")
    serve.add_argument("--port", type=_read_port, default=8000, metavar="N", help="default: 8000; 0: any that is free")
    bundle = add("bundle", "all that a reviewer needs, in one zip: an RO-Crate")
    bundle.add_argument("--out", type=Path, metavar="ZIP", help="another file than reviewer-bundle.zip")
    smoke = add("smoke", "the whole way on an embedded data set, in about a minute, into .smoke")
    smoke.add_argument(
        "-j",
        "--jobs",
        type=_read_jobs,
        default=2,
        metavar="N",
        help="as many runs at once, at most one for each core (default: 2)",
    )
    accept = add("accept", "keep a stale record, for a reason that is stored in it")
    accept.add_argument("patterns", nargs="+", metavar="RUN", help="names of runs or cells, with * and ?")
    accept.add_argument("--why", required=True, help="why the record still counts")
    new = add("new", "a small paper that works, in a folder of its own, to begin another one with")
    new.add_argument("folder", type=Path, metavar="FOLDER", help="a new folder, or an empty one")
    add("doctor", "what this machine lacks, and for what")
    clean = add("clean", "remove generated files, report/out too, which git may track; never a record")
    clean.add_argument("-n", "--dry-run", action="store_true", help="only show what would be removed")
    clean.add_argument("--checkpoints", action="store_true", help="also what unfinished runs would go on from")


def _add_selection(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("patterns", nargs="*", metavar="PATTERN", help="names of runs or cells, with * and ?")
    verb.add_argument("--group", metavar="G", help="only the runs of this group of the plan")


def _read_jobs(text: str) -> int:
    """How many runs at once: 1 or more."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of runs; expected 1 or more")
    return int(text)


def _read_port(text: str) -> int:
    """A port: 0 to 65535."""
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; expected 0 to 65535")
    return int(text)


def read_duration(text: str) -> float:
    """Seconds in `90s`, `30m`, `1h30m` or `2d`."""
    if not re.fullmatch(r"(\d+[smhd])+", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no duration; expected something like 30m, 2h or 1h30m")
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400}
    return float(sum(int(number) * units[unit] for number, unit in re.findall(r"(\d+)([smhd])", text)))
