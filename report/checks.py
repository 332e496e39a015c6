"""What must hold of a report: the ledger is whole, the prose is clean, every output is what a build makes."""

import difflib
import json
import re
import tempfile
from bisect import bisect_left
from collections import Counter
from collections.abc import Container, Iterator, Mapping
from dataclasses import replace
from itertools import chain, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.git import is_shallow, read_head, run_git
from experiments.ledger import Ledger
from experiments.plan import load_plan
from experiments.spec import MissingTool, ReproductionError, State
from report.checking.findings import RULES, Finding, unless_git_fails
from report.checking.manuscript import FATAL, inspect_manuscript
from report.checking.notebook_checks import inspect_notebooks, inspect_sources
from report.checking.page_checks import inspect_formats, inspect_log, inspect_pages
from report.judge.rule_history import taken_out, withdrawn
from report.judge.trials import Outcome
from report.judge.verdict import Verdict
from report.pages.bibliography import read_bibliography
from report.pages.front import flat
from report.pages.journal import faults
from report.pages.metadata import read_metadata
from report.pages.pdf import log_of_latexmk
from report.words import amount, first_few

if TYPE_CHECKING:
    from report.context import Context

_TYPESETTER = re.compile(rb"Typst \d+\.\d+\.\d+")  # as a PDF names what made it
_CACHES = tuple(f":(glob)**/{name}" for name in (".cache/**", "__pycache__/**", "*.pyc"))
SHOWN = 3  # differences of one file that are listed one by one
EXCERPT = 60  # characters on each side of a difference


def check(root: Path, strict: bool = False) -> list[Finding]:
    """Everything that does not hold, errors first, with what only a finished report needs.

    Builds the report in a temporary folder and compares it with report/out line by line, PDFs byte by byte; with STRICT
    also by TeX, whose log tells of boxes and glyphs. Nothing below ROOT changes, and nothing that an earlier build kept
    is trusted.
    """
    findings = [*inspect_ledger(root), *inspect_tracked(root), *inspect_manuscript(root), *inspect_metadata(root)]
    # What keeps a report from being built stands there already.
    if not any(finding.rule == "ledger-fault" or finding.rule in FATAL for finding in findings):
        findings += inspect_outputs(root, by_tex=strict)
    order = {rule: number for number, rule in enumerate(RULES)}  # causes before what follows from them
    return sorted(findings, key=lambda found: (found.severity != "error", order[found.rule], _natural(found.place)))


def _natural(place: str) -> tuple[str, int]:
    file, _, line = place.rpartition(":")
    return (file, int(line)) if line.isdigit() else (place, 0)


def inspect_ledger(root: Path) -> Iterator[Finding]:
    """The records at fault, with file, field, expected and found; then those that git holds otherwise; stale ones."""
    from experiments.status import statuses

    plan, ledger = load_plan(root / "experiments" / "plan.yaml"), Ledger(root / "experiments")
    _, faults = ledger.inspect(plan)
    for fault in faults:
        place = fault.place if ":" in fault.place else f"{fault.place}: {fault.field}" if fault.field else fault.place
        yield Finding("ledger-fault", place, fault.message, fault.expected, fault.found, fault.remedy)
    if faults:
        return
    yield from unless_git_fails("experiments/records", _inspect_past(root))
    found = statuses(plan, ledger, root)
    yield from inspect_notebooks(root, {s.run.name: s.record for s in found if s.record is not None})
    yield from inspect_sources(root, {run.notebook for run in plan.runs.values()})
    for status in found:
        place = f"experiments/records/{status.run.name}.json"
        if status.state is State.STALE:
            yield Finding("stale-record", place, status.why)
        if status.record is not None and status.record.provenance["dirty"]:
            commit = str(status.record.provenance["commit"])[:7]
            yield Finding("record-dirty", place, f"it was made from files that differed from commit {commit}")


def _inspect_past(root: Path) -> Iterator[Finding]:
    """The records that git holds, or ever held, otherwise."""
    from experiments.tampering import changed_since_commit, dropped_after_run, edited_after_run, repeated_after_run

    if is_shallow(root):
        message = "this clone is shallow: what was edited before its oldest commit cannot be seen"
        yield Finding("past-missing", "experiments/records", message)
    for name, changes in changed_since_commit(root / "experiments/records"):
        place = f"experiments/records/{name}"
        if not (root / place).exists():
            remedy = f"`git checkout -- {place}`, or commit that it is gone"
            yield Finding("record-changed", place, "git's HEAD holds it, and it is gone", remedy=remedy)
            continue
        message = f"it is not what git's HEAD holds: {first_few([field for field, _, _ in changes], SHOWN)}"
        yield Finding("record-changed", place, message, *changes[0][1:])
    for name, changes in edited_after_run(root / "experiments/records"):
        message = (
            f"it was changed after its run, as git's past shows: {first_few([field for field, _, _ in changes], SHOWN)}"
        )
        yield Finding("record-edited", f"experiments/records/{name}: {changes[0][0]}", message, *changes[0][1:])
    for name, changes in repeated_after_run(root / "experiments/records"):
        message = "git's past has another run of it that counts for the same code, with another result"
        yield Finding("record-repeated", f"experiments/records/{name}: {changes[0][0]}", message, *changes[0][1:])
    if dropped := dropped_after_run(root / "experiments/records"):
        message = f"git's past has records that are here no more: {first_few(dropped, SHOWN)}"
        yield Finding("record-dropped", "experiments/records", message)


def inspect_tracked(root: Path) -> Iterator[Finding]:
    """What git tracks below ROOT though it is told to ignore it, and caches whatever it is told: they hold code, and are
    believed; and that it tracks nothing."""
    yield from unless_git_fails(".gitignore", chain(_inspect_ignored(root), _inspect_absence(root)))


def _inspect_absence(root: Path) -> Iterator[Finding]:
    if read_head(root) is None and any((root / "experiments/records").glob("*.json")):
        message = "git has no commit here: what was edited after its run cannot be seen"
        yield Finding("past-missing", "experiments/records", message)


def _inspect_ignored(root: Path) -> Iterator[Finding]:
    listed = run_git(root, "ls-files", "--cached", "--ignored", "--exclude-standard", "-z") or ""
    caches = run_git(root, "ls-files", "--cached", "-z", "--", *_CACHES) or ""
    for name in filter(None, dict.fromkeys((listed + caches).split("\0"))):
        yield Finding(
            "ignored-tracked", name, "git tracks it, and it is one machine's own: .gitignore says or should say so"
        )


def inspect_metadata(root: Path) -> Iterator[Finding]:
    """Where the journal's tools would stumble over metadata.yaml, and where CITATION.cff is another one's."""
    from report.pages.citation import citation_file

    metadata, place = read_metadata(root / "report/paper/metadata.yaml"), "report/paper/metadata.yaml"
    for field, why in faults(metadata):
        yield Finding("metadata-journal", f"{place}: {field}", why)
    key = flat(metadata, "replication").get("bib", "")
    if key and key not in read_bibliography(root / "report/paper"):
        message = f"{key!r} has no entry in references.bib, so that CITATION.cff cannot name the original work"
        yield Finding("metadata-incomplete", f"{place}: replication.bib", message)
    path = root / "CITATION.cff"
    if not path.is_file():
        yield Finding("citation-file", "CITATION.cff", "it is not there")
    elif metadata.get("title") and metadata.get("authors"):
        yield from (replace(f, rule="citation-file") for f in _compare_text(path, citation_file(root), "CITATION.cff"))


def inspect_states(context: "Context") -> Iterator[Finding]:
    """What is not measured, not comparable or not tested, though the plan and the claims ask for it."""
    from report.render import missing_runs

    for line in missing_runs(context):
        group, _, price = line.partition(": ")
        yield Finding("value-pending", f"experiments/plan.yaml: {group}", price)
    for cell in context.evidence.cells():
        if cell.copies:
            seeds = ", ".join(map(str, cell.copies))
            yield Finding("record-copied", f"experiments/records/{cell.name}", f"seeds {seeds} are the same run")
        if cell.mixed:
            yield Finding("mixed-fidelity", f"experiments/plan.yaml: {cell.name}", cell.why)
    for id, verdict in context.verdicts.items():
        if verdict.outcome is Outcome.NOT_TESTED:
            yield Finding("claim-untested", f"report/paper/claims.yaml: {id}", "no run tests it yet")
        for warning in verdict.history.warnings:
            yield Finding("rule-changed", f"report/paper/claims.yaml: {id}", warning)
    for id, runs in withdrawn(context.claims, context.evidence.recorded()):
        yield Finding("rule-changed", f"report/paper/claims.yaml: {id}", f"the claim was taken away after {runs} runs")
    for id, runs in taken_out(context.claims, context.evidence.statuses.values()):
        message = f"its group {context.claims[id].group!r} has lost {amount(runs, 'run')} that it was to judge"
        yield Finding("rule-changed", f"report/paper/claims.yaml: {id}", message)
    stale = [quantity.id for quantity in context.registry.printed if quantity.state is State.STALE]
    if stale:
        message = f"{len(stale)} numbers wait for stale records, such as {stale[0]!r}"
        yield Finding("value-stale", "report/out/report.md", message)
    if not str(context.metadata["title"]).startswith(("[Re] ", "[¬Re] ")):
        yield Finding("title-prefix", "report/paper/metadata.yaml: title", "the verdicts do not allow one yet")


def inspect_rules(root: Path, verdicts: Mapping[str, Verdict]) -> Iterator[Finding]:
    """The rules that are not as git has them at the commits of those runs whose records keep no digest of a rule."""
    from experiments.rules import rules_at, rules_today
    from experiments.tampering import list_changes

    silent = {id: verdict.history.commits for id, verdict in verdicts.items() if verdict.history.commits}
    before = {commit: rules_at(root, commit) for commit in sorted(set().union(*silent.values()))}
    today = rules_today(root) if silent else {}
    for id, commits in silent.items():
        place, known = f"report/paper/claims.yaml: {id}", [before[commit] or {} for commit in commits if before[commit]]
        younger = 0 if verdicts[id].history.younger else sum(id not in rules for rules in known)
        if younger:
            yield Finding(
                "rule-changed", place, f"git's past has no rule of it at the commits of {younger} of its runs"
            )
        fields = {change[0]: change for rules in known if id in rules for change in list_changes(rules[id], today[id])}
        if fields:
            names = first_few(sorted(fields), SHOWN)
            message = f"git's past has another rule of it at the commits of its first runs: {names}"
            yield Finding("rule-changed", place, message, *fields[min(fields)][1:])
    for id in sorted(set().union(*(rules or () for rules in before.values())) - verdicts.keys()):
        message = "git's past has this claim at the commits of runs that count, and it was taken away"
        yield Finding("rule-changed", f"report/paper/claims.yaml: {id}", message)
    yield from _inspect_families(root, verdicts)


def _inspect_families(root: Path, verdicts: Mapping[str, Verdict]) -> Iterator[Finding]:
    """The families that have fewer claims than at the commits of runs of one of them: Holm's method asks less of the rest."""
    from experiments.rules import rules_at

    now = Counter(verdict.claim.family for verdict in verdicts.values())
    families = {id: verdict.claim.family for id, verdict in verdicts.items() if verdict.claim.family}
    made_at = {id: verdicts[id].history.made_at for id in families}
    before = {commit: rules_at(root, commit) or {} for commit in sorted(set().union(*made_at.values()))}
    for id, family in families.items():
        rules = [before[commit] for commit in made_at[id] if before[commit].get(id, {}).get("family") == family]
        most = max((sum(rule.get("family") == family for rule in known.values()) for known in rules), default=0)
        if most > now[family]:
            message = (
                f"its family {family!r} has {amount(now[family], 'claim')}, and had {most} at the commits of its runs"
            )
            yield Finding("rule-changed", f"report/paper/claims.yaml: {id}", message)


def inspect_outputs(root: Path, *, by_tex: bool = False) -> list[Finding]:
    """Where report/out is not what a build makes, and what does not hold of the pages; BY_TEX asks TeX's log too."""
    from report.render import OUTPUTS, build_report

    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder, "out")
        try:
            built = build_report(root, out=out, formats=OUTPUTS, cache=Path(folder, "cache"))
        except ReproductionError as error:
            return [Finding("build-fails", "report/paper", str(error))]
        context = built.context
        pages = (out / "report.md").read_text(encoding="utf-8")
        return [
            *inspect_states(context),
            *unless_git_fails("report/paper/claims.yaml", inspect_rules(root, context.verdicts)),
            *_gather_differences(compare(root / "report/out", out, "report/out"), root / "report/out", out),
            *inspect_claims(context.verdicts, context.told, pages),
            *inspect_pages(out, root),
            *inspect_formats(out, context.registry.printed, context.tables.values()),
            *(inspect_by_tex(out) if by_tex else ()),
        ]


def inspect_claims(verdicts: Mapping[str, Verdict], told: Container[str], page: str) -> Iterator[Finding]:
    """The claims that PAGE does not name, and those with runs whose verdict is not among the ones TOLD.

    A verdict is told by a table or in the prose; `kernel-size` is not named by `kernel-size-25`.
    """
    named = set(re.findall(r"[\w-]+", page))
    for id, verdict in verdicts.items():
        if id not in named:
            yield Finding("claim-unused", "report/paper/claims.yaml", f"no page names the claim {id!r}")
        elif verdict.is_tested and id not in told:
            message = f"no page prints the verdict on the claim {id!r}"
            yield Finding("claim-unused", "report/paper/claims.yaml", message)


def inspect_by_tex(out: Path) -> list[Finding]:
    """What TeX's log says of OUT/report.tex."""
    try:
        log = log_of_latexmk(out)
    except MissingTool as error:
        return [Finding("tex-unchecked", "report/out/report.tex", str(error))]
    except ReproductionError as error:
        return [Finding("build-fails", "report/out/report.tex", str(error))]
    return list(inspect_log(log, "report/out/report.tex"))


def compare(tracked: Path, rebuilt: Path, label: str) -> list[Finding]:
    """The files of TRACKED against those of REBUILT: what is missing, what is too many, and which lines differ."""
    wanted, there = _files(rebuilt), _files(tracked)
    if not there:
        return [Finding("output-missing", label, f"nothing of it is there; a build makes {len(wanted)} files")]
    findings = [Finding("output-missing", f"{label}/{name}", "a build makes this file") for name in wanted - there]
    findings += [Finding("output-unknown", f"{label}/{name}", "no build makes this file") for name in there - wanted]
    for name in sorted(wanted & there):
        if name.endswith(".pdf"):
            findings += _compare_pdf(tracked / name, rebuilt / name, f"{label}/{name}")
        else:
            findings += _compare_text(tracked / name, _decoded(rebuilt / name), f"{label}/{name}")
    return findings


def _gather_differences(findings: list[Finding], tracked: Path, rebuilt: Path) -> list[Finding]:
    """FINDINGS with all that differs as one, where REBUILT is made from other records than TRACKED: that is the cause."""
    was, now = (_digests(folder / "provenance.json") for folder in (tracked, rebuilt))
    changed = [run for run in sorted(was.keys() | now.keys()) if was.get(run) != now.get(run)]
    differing = [finding for finding in findings if finding.rule == "output-differs"]
    if not (was and changed and differing):
        return findings
    files = len({finding.place.partition(":")[0] for finding in differing})
    message = f"it was made before these records changed: {first_few(changed, SHOWN)}; {files} of its files differ"
    return [Finding("output-differs", "report/out", message), *(f for f in findings if f.rule != "output-differs")]


def _digests(path: Path) -> dict[str, Any]:
    """The digests of the records, by run, that a report was made from; none where PATH does not say so."""
    try:
        records = json.loads(path.read_bytes())["records"]
        return {run: record["digest"] for run, record in records.items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return {}


def _files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def _compare_pdf(tracked: Path, rebuilt: Path, label: str) -> list[Finding]:
    """The same version of the typesetter makes the same bytes; what another one made cannot be compared."""
    found, expected = tracked.read_bytes(), rebuilt.read_bytes()
    if found == expected:
        return []
    made_by, ours = (_TYPESETTER.search(content) for content in (found, expected))
    if made_by and ours and made_by[0] == ours[0]:
        at = next((i for i, (a, b) in enumerate(zip(found, expected, strict=False)) if a != b), len(found))
        return [Finding("output-differs", label, f"byte {at + 1} differs from a fresh build")]
    maker = made_by[0].decode() if made_by else "another typesetter"
    return [Finding("pdf-unchecked", label, f"it was made by {maker}", ours[0].decode() if ours else "", maker)]


def _decoded(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "replace")


def _compare_text(tracked: Path, expected: str, label: str) -> list[Finding]:
    found = _decoded(tracked)
    if found == expected:
        return []
    differing = list(_differing_lines(expected.split("\n"), found.split("\n")))
    findings = []
    for number, want, have in differing[:SHOWN]:
        at = next((i for i, (a, b) in enumerate(zip(want, have, strict=False)) if a != b), min(len(want), len(have)))
        place, column = f"{label}:{number}", f"column {at + 1} differs from a fresh build"
        findings.append(Finding("output-differs", place, column, _excerpt(want, at), _excerpt(have, at)))
    if len(differing) > SHOWN:
        findings.append(Finding("output-differs", label, f"{len(differing) - SHOWN} more lines differ"))
    return findings


def _differing_lines(expected: list[str], found: list[str]) -> Iterator[tuple[int, str, str]]:
    """The differing lines with their number in the tracked file; a line too many does not shift the rest.

    Compared between those lines alone that stand once in both: difflib takes minutes for ten thousand with many brackets.
    """
    from_line, from_other = 0, 0
    for line, other in (*_common_lines(expected, found), (len(expected), len(found))):
        wanted, there = expected[from_line:line], found[from_other:other]
        for _, i1, i2, j1, j2 in difflib.SequenceMatcher(None, wanted, there).get_opcodes() if wanted != there else ():
            for offset, (want, have) in enumerate(zip_longest(wanted[i1:i2], there[j1:j2])):
                if want != have:
                    yield from_other + j1 + offset + 1, want or "", have or ""
        from_line, from_other = line + 1, other + 1


def _common_lines(a: list[str], b: list[str]) -> list[tuple[int, int]]:
    """The places in A and B of the lines that stand once in both: the longest sequence that has one order in both."""
    times, others = Counter(a), Counter(b)
    places = {line: place for place, line in enumerate(b) if others[line] == times[line] == 1}
    ends: list[int] = []  # the least place in B at which a sequence of each length can end
    chains: list[Any] = []  # its last pair, and the chain of the pairs before
    for pair in ((i, places[line]) for i, line in enumerate(a) if line in places):
        length = bisect_left(ends, pair[1])
        ends[length : length + 1] = [pair[1]]
        chains[length : length + 1] = [(pair, chains[length - 1] if length else None)]
    found, rest = [], chains[-1] if chains else None
    while rest is not None:
        pair, rest = rest
        found.append(pair)
    return found[::-1]


def _excerpt(line: str, at: int) -> str:
    start, end = max(0, at - EXCERPT), at + EXCERPT
    return f"{'…' if start else ''}{line[start:end]}{'…' if end < len(line) else ''}"
