"""Each rule has a fault that breaks it: a rule without one here fails, and so does a fault that is not found."""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from experiments.files import write_atomically
from experiments.spec import Correct, State
from report.checking.findings import OF_A_FINISHED_REPORT, RULES, Finding, list_rules, severity_of
from report.checking.manuscript import HEADINGS, inspect_manuscript
from report.checking.page_checks import inspect_formats, inspect_log, inspect_pages
from report.checks import (
    compare,
    inspect_by_tex,
    inspect_claims,
    inspect_ledger,
    inspect_metadata,
    inspect_outputs,
    inspect_states,
    inspect_tracked,
)
from report.judge.trials import Outcome
from report.pages import pdf
from report.quantities import Registry
from tests.judging import bits
from tests.made_up import make_cell, make_evidence, make_run, waiting
from tests.small_git import commit, git
from tests.small_paper import accuracy
from tests.small_repository import PROVENANCE, edit, make_record, make_repository, open_repository

Findings = Iterable[Finding]
SUMMARY = "# Summary {.unnumbered}\n\n" + "\n\n".join(f"**{heading}** — words." for heading in HEADINGS) + "\n"


def prose(folder: Path, body: str, *, summary: str = SUMMARY, **changes: str) -> Findings:
    """What is found in a paper with this BODY; a change replaces the value of a field of metadata.yaml."""
    paper = folder / "report/paper"
    (paper / "sections").mkdir(parents=True)
    (paper / "sections/00-summary.md").write_text(summary, encoding="utf-8")
    (paper / "sections/10-body.md").write_text(body, encoding="utf-8")
    (paper / "references.bib").write_text("@misc{known2020,\n title = {T}\n}\n", encoding="utf-8")
    text = (Path(__file__).parent.parent / "report/paper/metadata.yaml").read_text(encoding="utf-8")
    for field, value in changes.items():
        text, count = re.subn(rf"^{field}: .*$", f"{field}: {value}", text, flags=re.MULTILINE)
        assert count == 1, field
    (paper / "metadata.yaml").write_text(text, encoding="utf-8")
    return [*inspect_manuscript(folder), *inspect_metadata(folder)]


def open_checklist(folder: Path) -> Findings:
    (folder / "report/paper").mkdir(parents=True)
    (folder / "report/paper/checklist.yaml").write_text("version: 1\nanswers: {}\n", encoding="utf-8")
    return prose(folder, "Text.")


def broken_record(folder: Path) -> Findings:
    root = make_repository(folder / "root")
    (root / "experiments/records").mkdir()
    (root / "experiments/records/tiny-z2-s0.json").write_text("{", encoding="utf-8")
    return inspect_ledger(root)


def stale_record(folder: Path) -> Findings:
    root = make_repository(folder / "root")
    open_repository(root)[1].save(make_record(root, "tiny-z2-s0"))
    edit(root / "method/model.py", "2 * value", "3 * value")
    return inspect_ledger(root)


def notebook_with_outputs(folder: Path) -> Findings:
    root = make_repository(folder / "root")
    path = root / "experiments/fine.ipynb"
    content = json.loads(path.read_text(encoding="utf-8"))
    (cell, *_) = (cell for cell in content["cells"] if cell["cell_type"] == "code")
    cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["97.1 %"]}]
    write_atomically(path, json.dumps(content))
    return inspect_ledger(root)


def dirty_record(folder: Path) -> Findings:
    root = make_repository(folder / "root")
    dirty = PROVENANCE | {"commit": "0123456789" * 4, "dirty": True}
    open_repository(root)[1].save(make_record(root, "tiny-z2-s0", provenance=dirty))
    return inspect_ledger(root)


def changed_record(folder: Path) -> Findings:
    root = make_repository(folder / "root")
    record = make_record(root, "tiny-z2-s0")
    path = open_repository(root)[1].save(record)
    git(root, "init", "--quiet")
    commit(root, "a run")
    changed = replace(record, cost={**record.cost, "seconds": 5.0})
    path.write_text(changed.to_text(), encoding="utf-8")
    return inspect_ledger(root)


def repeated_record(folder: Path) -> Findings:
    root = make_repository(folder / "root")
    record = make_record(root, "tiny-z2-s0")
    open_repository(root)[1].save(record)
    git(root, "init", "--quiet")
    commit(root, "a run")
    right = {"metrics": {"test_accuracy": 1.0}, "correct": Correct("test", 4, "8A==")}
    history = {"history": {**record.history, "test_accuracy": [0.5, 1.0]}}
    again = {"provenance": {**record.provenance, "started": "2026-01-02T00:00:00Z"}}
    open_repository(root)[1].save(replace(record, **right, **history, **again), force=True)
    return inspect_ledger(root)


def dropped_record(folder: Path) -> Findings:
    root = make_repository(folder / "root")
    path = open_repository(root)[1].save(make_record(root, "tiny-z2-s0"))
    git(root, "init", "--quiet")
    commit(root, "a run")
    path.unlink()
    commit(root, "nothing of note")
    return inspect_ledger(root)


def broken_repository(folder: Path) -> Findings:
    root = make_repository(folder / "root")
    open_repository(root)[1].save(make_record(root, "tiny-z2-s0"))
    write_atomically(root / ".git", "gitdir: nowhere\n")
    return inspect_ledger(root)


def shallow_clone(folder: Path) -> Findings:
    root = make_repository(folder / "root")
    open_repository(root)[1].save(make_record(root, "tiny-z2-s0"))
    git(root, "init", "--quiet")
    commit(root, "a run")
    git(root, "commit", "--quiet", "--allow-empty", "--message", "another state")
    git(folder, "clone", "--quiet", "--depth", "1", root.as_uri(), "clone")
    return inspect_ledger(folder / "clone")


def lonely_notebook(folder: Path) -> Findings:
    root = make_repository(folder / "root")
    write_atomically(root / "experiments/executed/tiny-z2-s0.ipynb", "{}")
    return inspect_ledger(root)


def tracked_cache(folder: Path) -> Findings:
    for place, text in ((".gitignore", ".cache/\n"), (".cache/jinja/a.cache", "code"), ("a.md", "text")):
        write_atomically(folder / "root" / place, text)
    git(folder / "root", "init", "--quiet")
    git(folder / "root", "add", "--force", ".")
    return inspect_tracked(folder / "root")


def test_records_whose_past_git_does_not_have_are_told(tmp_path: Path) -> None:
    root = make_repository(tmp_path / "root")
    assert list(inspect_tracked(root)) == []  # there is no record
    open_repository(root)[1].save(make_record(root, "tiny-z2-s0"))
    (finding,) = inspect_tracked(root)
    message = "git has no commit here: what was edited after its run cannot be seen"
    assert (finding.rule, finding.message) == ("past-missing", message)
    git(root, "init", "--quiet")
    commit(root, "a run")
    assert list(inspect_tracked(root)) == []


def test_a_cache_is_no_file_of_the_repository_whatever_gitignore_says(tmp_path: Path) -> None:
    for place in (".cache/jinja/a.cache", "report/__pycache__/a.pyc", "report/a.pyc", "report/paper/a.md"):
        write_atomically(tmp_path / place, "code")
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "add", "--force", ".")
    found = [(finding.rule, finding.place) for finding in inspect_tracked(tmp_path)]
    assert found == [
        ("ignored-tracked", name) for name in (".cache/jinja/a.cache", "report/__pycache__/a.pyc", "report/a.pyc")
    ]


def files(folder: Path, name: str, **contents: bytes) -> Path:
    (folder / name).mkdir()
    for file, content in contents.items():
        (folder / name / file.replace("_", ".")).write_bytes(content)
    return folder / name


def outputs(folder: Path, tracked: dict[str, bytes], rebuilt: dict[str, bytes]) -> Findings:
    return compare(files(folder, "tracked", **tracked), files(folder, "rebuilt", **rebuilt), "report/out")


def states(_: Path) -> Findings:
    """A report in which a group waits, a cell mixes precisions, a run is copied, a number stale and a claim untested."""
    one, two = make_cell([0.7]), make_cell([0.7, 0.8], settings={"precision": "bf16"})
    twice = [
        replace(status, record=replace(status.record, correct=bits([True, False])))
        for status in make_cell([0.5, 0.5], kernel_size=7)
    ]
    waits = [waiting(make_run(0, groups=("other",), patch_size=2))]
    evidence = make_evidence(one[0], two[1], *twice, other=waits)
    registry = Registry()
    registry.add(replace(accuracy(), value=None, spread=None, n=None, state=State.STALE, why="the model changed"))
    history = SimpleNamespace(warnings=("its rule changed after 2 runs",))
    verdicts = {"a-claim": SimpleNamespace(outcome=Outcome.NOT_TESTED, history=history)}
    metadata = {"title": "No prefix"}
    parts = {"evidence": evidence, "registry": registry, "verdicts": verdicts, "metadata": metadata, "claims": {}}
    return inspect_states(SimpleNamespace(**parts))


def pages(folder: Path, **texts: str) -> Findings:
    encoded = {name: text.encode() for name, text in texts.items()}
    return list(inspect_pages(files(folder, "out", **encoded), folder))


def formats(folder: Path) -> Findings:
    out = files(folder, "out", report_md=b"71.23", report_html=b"<p title='71.23'>71.24</p>", report_tex=b"71.23")
    return inspect_formats(out, [accuracy(0.7123)], [])


def without_tex(folder: Path) -> Findings:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pdf.shutil, "which", lambda tool: None)
        return inspect_by_tex(folder)


def cff(folder: Path) -> Findings:
    (folder / "CITATION.cff").write_text("cff-version: 1.2.0\n", encoding="utf-8")
    return prose(folder, "Text.")


TRIGGERS: dict[str, Callable[[Path], Findings]] = {
    "ledger-fault": broken_record,
    "stale-record": stale_record,
    "git-unchecked": broken_repository,
    "past-missing": shallow_clone,
    "record-changed": changed_record,
    "record-edited": changed_record,
    "record-repeated": repeated_record,
    "record-dropped": dropped_record,
    "notebook-differs": lonely_notebook,
    "notebook-outputs": notebook_with_outputs,
    "record-dirty": dirty_record,
    "ignored-tracked": tracked_cache,
    "value-stale": states,
    "value-pending": states,
    "mixed-fidelity": states,
    "record-copied": states,
    "claim-untested": states,
    "checklist-open": open_checklist,
    "title-prefix": states,
    "rule-changed": states,
    "output-differs": lambda folder: outputs(folder, {"a_md": b"71.23"}, {"a_md": b"71.24"}),
    "output-missing": lambda folder: outputs(folder, {}, {"a_md": b""}),
    "output-unknown": lambda folder: outputs(folder, {"a_md": b""}, {}),
    "pdf-unchecked": lambda folder: outputs(folder, {"a_pdf": b"xelatex"}, {"a_pdf": b"Typst 0.14.0"}),
    "build-fails": lambda folder: inspect_outputs(folder),
    "placeholder": lambda folder: prose(folder, "TODO"),
    "typed-result": lambda folder: prose(folder, "We reach 71.23 %."),
    "raw-format": lambda folder: prose(folder, "`<b>`{=html}"),
    "image": lambda folder: prose(folder, "![a](a.png)"),
    "citation-unknown": lambda folder: prose(folder, "See [@nobody]."),
    "entry-unused": lambda folder: prose(folder, "Text."),
    "reference-unknown": lambda folder: prose(folder, "See << ref('tab:none') >>."),
    "reference-typed": lambda folder: prose(folder, "See Table 3."),
    "float-unreferenced": lambda folder: prose(folder, "<< table('lonely') >>"),
    "claim-unused": lambda _: inspect_claims({"kernel-size": None}, set(), "only kernel-size-25 is named"),
    "formats-differ": formats,
    "broken-link": lambda folder: pages(folder, report_html='<p id="a"><a href="#b">b</a></p>'),
    "alt-text": lambda folder: pages(folder, report_html='<svg role="img" aria-label="curves"></svg>'),
    "overfull-box": lambda _: inspect_log("Overfull \\hbox (32.5pt too wide) in paragraph at lines 9--10\n", "a.tex"),
    "missing-glyph": lambda _: inspect_log("Missing character: There is no 中 (U+4E2D) in font [lmr]:x!\n", "a.tex"),
    "tex-unchecked": without_tex,
    "metadata-incomplete": lambda folder: prose(folder, "Text.", title='""'),
    "metadata-example": lambda folder: prose(folder, "Text."),
    "metadata-journal": lambda folder: prose(folder, "Text.", type='"Essay"'),
    "citation-file": cff,
    "summary-heading": lambda folder: prose(folder, "Text.", summary=SUMMARY.replace("**What was easy**", "**Easy**")),
    "summary-long": lambda folder: pages(folder, report_md="# Summary\n\n" + "word " * 401),
}


def test_an_original_work_that_the_bibliography_lacks_is_told(tmp_path: Path) -> None:
    found = [finding for finding in prose(tmp_path, "Text.") if finding.rule == "metadata-incomplete"]
    assert [(finding.place, finding.message.partition(",")[0]) for finding in found] == [
        ("report/paper/metadata.yaml: replication.bib", "'trockman2022patches' has no entry in references.bib")
    ]


@pytest.mark.parametrize("rule", RULES)
def test_each_rule_is_triggered_by_its_fault(tmp_path: Path, rule: str) -> None:
    assert rule in TRIGGERS, f"the rule {rule!r} has no fault in this file that breaks it"
    found = [finding for finding in TRIGGERS[rule](tmp_path) if finding.rule == rule]
    assert found, f"nothing was found that breaks {rule!r}"
    for finding in found:
        assert finding.place
        assert finding.message
        assert str(finding).startswith(f"{RULES[rule].severity} {rule}: {finding.place}: ")


def test_no_trigger_is_left_of_a_rule_that_is_gone() -> None:
    assert TRIGGERS.keys() <= RULES.keys()
    assert RULES.keys() >= OF_A_FINISHED_REPORT


def test_the_list_names_every_rule_with_severity_demand_and_remedy() -> None:
    text = list_rules()
    for id, rule in RULES.items():
        assert rule.fix in text
        assert re.search(rf"^{id} +{severity_of(id)} +{re.escape(rule.what)}$", text, re.MULTILINE)
    assert {severity_of(id) for id in OF_A_FINISHED_REPORT} == {"--strict"}
