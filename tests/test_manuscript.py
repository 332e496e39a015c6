"""What is wrong in the authors' files is found with file and line, and what is right is left alone."""

import json
import shutil
from pathlib import Path

import pytest

from experiments.spec import ConfigurationError
from report.checking.findings import RULES, Finding
from report.checking.manuscript import HEADINGS, inspect_manuscript, refuse_faults

SUMMARY = "# Summary {.unnumbered}\n\n" + "\n\n".join(f"**{heading}** — words." for heading in HEADINGS) + "\n"
BIBLIOGRAPHY = "@misc{known2020,\n title = {T}\n}\n"


def inspect(folder: Path, root: Path, body: str, summary: str = SUMMARY, metadata: str = "") -> list[Finding]:
    paper = folder / "report/paper"
    (paper / "sections").mkdir(parents=True)
    (paper / "sections/00-summary.md").write_text(summary, encoding="utf-8")
    (paper / "sections/10-body.md").write_text(body, encoding="utf-8")
    (paper / "references.bib").write_text(BIBLIOGRAPHY, encoding="utf-8")
    shutil.copyfile(root / "report/paper/metadata.yaml", paper / "metadata.yaml")
    if metadata:
        (paper / "metadata.yaml").write_text(metadata, encoding="utf-8")
    return [finding for finding in inspect_manuscript(folder) if finding.rule != "metadata-example"]


CITED = "A sentence [@known2020].\n"


@pytest.mark.parametrize(
    ("text", "rule", "line", "message"),
    [
        ("TODO", "placeholder", 2, "'TODO' is no sentence of the report"),
        ("We write some thing heeereeee", "placeholder", 2, "'write some thing heeere' is no sentence of the report"),
        ("text <add something here>", "placeholder", 2, "'<add' is no sentence of the report"),
        ("dfd", "placeholder", 2, "'dfd' is no sentence of the report"),
        ("Briefly describe what you did.", "placeholder", 2, "'Briefly describe' is no sentence of the report"),
        ("We reach 71.23 % here", "typed-result", 2, "'71.23 %' is typed by hand"),
        ("\n\na gain of 3 pp", "typed-result", 4, "'3 pp' is typed by hand"),
        ("an accuracy of 0.7123", "typed-result", 2, "'0.7123' is typed by hand"),
        ("We reach 82&nbsp;% here", "typed-result", 2, "'82&nbsp;%' is typed by hand"),
        (r"We reach 82 \% here", "typed-result", 2, r"'82 \\%' is typed by hand"),
        ("We reach **71** % here", "typed-result", 2, "'71** %' is typed by hand"),
        (r"We reach 71\.2 % here", "typed-result", 2, "'71.2 %' is typed by hand"),
        ("We reach **71**.2 % here", "typed-result", 2, "'71.2 %' is typed by hand"),
        ("We reach 7\u200b1.2 % here", "typed-result", 2, "'1.2 %' is typed by hand"),
        ("We gain (p = .03) here", "typed-result", 2, "'p = .03' is typed by hand"),
        ("We gain 75 points here", "typed-result", 2, "'75 points' is typed by hand"),
        ("We reach seventy-five per cent", "typed-result", 2, "'seventy-five per cent' is typed by hand"),
        (r"We reach $71.2\,\%$ here", "typed-result", 2, r"'$71.2\\,\\%$' is typed by hand"),
        ("We reach $71.2$ % here", "typed-result", 2, "'$71.2$' is typed by hand"),
        ("We reach &#55;&#49;.2 &#37; here", "typed-result", 2, "'71.2 %' is typed by hand"),
        ("We reach ７１．２ ％ here", "typed-result", 2, "'71.2 %' is typed by hand"),
        ("It is ✓ **REPRO*DUCED*** here", "typed-result", 2, "'REPRODUCED' is typed by hand"),
        (r"We reach $71.2\text{ per cent}$", "typed-result", 2, r"'$71.2\\text{ per cent}$' is typed by hand"),
        ("We reach `71.2 %` here", "typed-result", 2, "'71.2 %' is typed by hand"),
        ("```\nMixer  71.2 ± 0.4\n```", "typed-result", 3, "'± 0.4' is typed by hand"),
        ("It is `REPRODUCED`", "typed-result", 2, "'REPRODUCED' is typed by hand"),
        (r"It is $\text{REPRODUCED}$", "typed-result", 2, r"'$\\text{REPRODUCED}$' is typed by hand"),
        ("We measure 71 ± 0.4 here", "typed-result", 2, "'± 0.4' is typed by hand"),
        ("with a p-value of 0.03", "typed-result", 2, "'p-value of 0.03' is typed by hand"),
        ("with p = 3e-5", "typed-result", 2, "'p = 3e-5' is typed by hand"),
        ("a share of .7123", "typed-result", 2, "'.7123' is typed by hand"),
        ("9,710 of 10,000 test images", "typed-result", 2, "'9,710 of 10,000' is typed by hand"),
        ("71 out of 100 images", "typed-result", 2, "'71 out of 100' is typed by hand"),
        ("a gain of 3 pts", "typed-result", 2, "'3 pts' is typed by hand"),
        ("seventy-one point two per cent", "typed-result", 2, "'seventy-one point two per cent' is typed by hand"),
        ("a gain of two percentage points", "typed-result", 2, "'two percentage points' is typed by hand"),
        (r"We measure $71 \pm 0.4$", "typed-result", 2, r"'$71 \\pm 0.4$' is typed by hand"),
        ("We reach 71<!-- x -->.2 % here", "typed-result", 2, "'71.2 %' is typed by hand"),
        ("We reach <% if true %>71<% endif %>.2 %", "typed-result", 2, "'71.2 %' is typed by hand"),
        ("We reach 7[1.2](https://x.org) %", "typed-result", 2, "'71.2 %' is typed by hand"),
        ("It is [REPRO](https://x.org)DUCED", "typed-result", 2, "'REPRODUCED' is typed by hand"),
        ('\n<< "99.9 %" >>', "typed-result", 3, "the text '99.9 %' is typed by hand"),
        ("```{=html}\n<script>\n```", "raw-format", 2, "'{=html' passes text to one format unescaped"),
        ("`<b>`{ =html}", "raw-format", 2, "'{ =html' passes text to one format unescaped"),
        ("`<b>`{<# x #>=html}", "raw-format", 2, "'{       =html' passes text to one format unescaped"),
        ("We see<br/> it", "raw-format", 2, "'<br/>' is no Markdown and is printed as it stands"),
        (r"We \textbf{see} it", "raw-format", 2, r"'\\textbf' is no Markdown and is printed as it stands"),
        ("Figure 3 shows it", "reference-typed", 2, "'Figure 3' is typed by hand, and no link"),
        (
            "It is {{ accuracy('a') }}",
            "raw-format",
            2,
            "\"{{ accuracy('a') }}\" is printed as it stands: Jinja's brackets are angles here, << >> and <% %>",
        ),
        ("![x](a.png)", "image", 2, "an image in the prose has no number, caption or source"),
        ("See [@unknown2021].", "citation-unknown", 2, "'@unknown2021' has no entry in references.bib"),
        ("See << ref('tab:none') >>.", "reference-unknown", 2, "ref('tab:none') has no target; there are "),
        ("<< table('lonely') >>", "float-unreferenced", 2, "'tab:lonely' is placed and never mentioned"),
    ],
)
def test_a_fault_in_the_prose_is_found(
    tmp_path: Path, root: Path, text: str, rule: str, line: int, message: str
) -> None:
    assert inspect(tmp_path, root, CITED + text) == [Finding(rule, f"report/paper/sections/10-body.md:{line}", message)]


@pytest.mark.parametrize(
    "text",
    [
        "60,000 images of 32 by 32 pixels, version 3.11, 0.95, width 256/8, ann@example.com, 1e-3",
        "`lr=0.0123` and $p = 0.0123$ and << accuracy('a', threshold=0.7123) >>",
        "```\n71.23 @nobody\n```",
        "<# 71.23 % #>",
        "the paper's Table 2, Figure 3 of [@known2020], [@known2020, Table 1] and $\\alpha < b$, a \\<b> and 1 < a > b",
        "See << ref('tab:a') >> and << ref('sec:b') >>.\n\n<< table('a') >>\n\n## B {#sec:b}",
    ],
)
def test_sound_prose_is_left_alone(tmp_path: Path, root: Path, text: str) -> None:
    assert inspect(tmp_path, root, CITED + text) == []


@pytest.mark.parametrize("name", ["sections/10-body.md", "references.bib", "metadata.yaml"])
def test_a_file_in_another_encoding_is_told_with_its_line(tmp_path: Path, root: Path, name: str) -> None:
    inspect(tmp_path, root, CITED)
    path = tmp_path / "report/paper" / name
    path.write_bytes(b"one\ncaf\xe9\n")
    with pytest.raises(ConfigurationError) as caught:
        inspect_manuscript(tmp_path)
    assert str(caught.value) == f"{path.name}:2: found the byte 0xE9; expected UTF-8: save the file so"


def test_an_entry_that_nobody_cites_is_a_warning_at_its_line(tmp_path: Path, root: Path) -> None:
    assert [str(finding) for finding in inspect(tmp_path, root, "Nothing.")] == [
        (
            "warning entry-unused: report/paper/references.bib:1: 'known2020' is not cited\n"
            "  to do: cite it, or delete the entry"
        )
    ]


def test_the_summary_needs_its_headings(tmp_path: Path, root: Path) -> None:
    summary = SUMMARY.replace("**What was easy**", "**Easy**") + "word " * 400  # words are counted as printed
    findings = inspect(tmp_path, root, CITED, summary)
    assert [finding.rule for finding in findings] == ["summary-heading"]
    assert findings[0].message == "the heading 'What was easy' is missing"


@pytest.mark.parametrize(
    ("before", "line"),
    [
        ("words.\n", 4),
        ("words.\n<% if ours %>\nmore.\n<% endif %>\n", 7),
        ("words.\n\n<% if ours\n   and theirs %>\n", None),
        ("# A heading\n", None),
    ],
)
def test_a_heading_of_the_summary_starts_a_paragraph(tmp_path: Path, root: Path, before: str, line: int | None) -> None:
    summary = SUMMARY.replace("**Scope of", f"{before}**Scope of")
    findings = inspect(tmp_path, root, CITED, summary)
    assert [(finding.rule, finding.place) for finding in findings] == (
        [("summary-heading", f"report/paper/sections/00-summary.md:{line}")] if line else []
    )
    assert all("starts no paragraph" in finding.message for finding in findings)


def test_a_result_typed_in_a_caption_or_the_abstract_is_found(tmp_path: Path, root: Path) -> None:
    assert inspect(tmp_path, root, CITED) == []
    paper = tmp_path / "report/paper"
    declared = {"title": "The MLP reaches 93.4 %.", "note": "A 95 % interval; 91.25 without, NOT REPRODUCED."}
    declared["conditions"] = {"test_accuracy": "as stored (93.4 %)"}
    labels = {"width": "Width (wins 3 pp)"}
    (paper / "tables.yaml").write_text(
        json.dumps({"tables": {"a": declared, "b": 3}, "labels": labels}), encoding="utf-8"
    )
    (paper / "figures.yaml").write_text("figures: {c: {title: A fall of 3 pp}}\n", encoding="utf-8")
    (paper / "references.bib").write_text(f"{BIBLIOGRAPHY}\n@misc{{a,\n note = {{REPRODUCED}}}}\n", encoding="utf-8")
    (paper / "numeric.csl").write_text('<layout prefix="97.1&#160;% [">\n', encoding="utf-8")
    text = (paper / "metadata.yaml").read_text(encoding="utf-8")
    (paper / "metadata.yaml").write_text(text.replace('abstract: "', 'abstract: "We reach 93.4 %. '), encoding="utf-8")
    found = [(finding.rule, finding.place, finding.message) for finding in inspect_manuscript(tmp_path)]
    assert [one for one in found if one[0] == "typed-result"] == [
        ("typed-result", f"report/paper/{place}", f"{what!r} is typed by hand")
        for place, what in (
            ("metadata.yaml: abstract", "93.4 %"),
            ("tables.yaml: tables.a.title", "93.4 %"),
            ("tables.yaml: tables.a.note", "91.25"),
            ("tables.yaml: tables.a.note", "NOT REPRODUCED"),
            ("tables.yaml: tables.a.conditions.test_accuracy", "93.4 %"),
            ("tables.yaml: labels.width", "3 pp"),
            ("figures.yaml: figures.c.title", "3 pp"),
            ("numeric.csl", "97.1 %"),
            ("references.bib:5", "REPRODUCED"),
        )
    ]


def test_a_verdict_typed_in_the_plan_or_a_claim_is_found_and_a_value_in_a_question_may_stand(
    tmp_path: Path, root: Path
) -> None:
    assert inspect(tmp_path, root, CITED) == []
    group = {"title": "Sizes (3 pp)", "question": "Does it reach 92.6 %? REPRODUCED"}
    claims = {"it": {"sentence": "It is better.", "deviations": ["none: NOT REPRODUCED"]}}
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments/plan.yaml").write_text(json.dumps({"groups": {"a": group}}), encoding="utf-8")
    (tmp_path / "report/paper/claims.yaml").write_text(json.dumps({"claims": claims}), encoding="utf-8")
    assert [finding for finding in inspect_manuscript(tmp_path) if finding.rule == "typed-result"] == [
        Finding("typed-result", place, f"{what!r} is typed by hand")
        for place, what in (
            ("experiments/plan.yaml: groups.a.title", "3 pp"),
            ("report/paper/claims.yaml: claims.it.deviations[0]", "NOT REPRODUCED"),
            ("experiments/plan.yaml: groups.a.question", "REPRODUCED"),
        )
    ]


@pytest.mark.parametrize(
    ("file", "content", "place", "what"),
    [
        ("tables.yaml", {"tables": {"a": {"note": "We reach 75 % in the mean."}}}, "tables.a.note", "75 %"),
        ("tables.yaml", {"tables": {"a": {"note": "It gains 3 pp."}}}, "tables.a.note", "3 pp"),
        ("tables.yaml", {"tables": {"a": {"title": "Seventy-five per cent are right"}}}, "tables.a.title", "Seventy-five per cent"),
        ("figures.yaml", {"figures": {"a": {"alt": "The step (p = .03)"}}}, "figures.a.alt", "p = .03"),
        ("figures.yaml", {"figures": {"a": {"title": "Up to 7\u200b1 %"}}}, "figures.a.title", "71 %"),
        ("claims.yaml", {"claims": {"a": {"deviations": ["Ours had 93.4 %"]}}}, "claims.a.deviations[0]", "93.4 %"),
        ("claims.yaml", {"claims": {"a": {"untested": "we saw 93.4 %"}}}, "claims.a.untested", "93.4 %"),
        ("claims.yaml", {"protocols": {"a": {"title": "the paper (93.4 %)"}}}, "protocols.a.title", "93.4 %"),
        ("metadata.yaml", {"title": "We reach 93.4 %"}, "title", "93.4 %"),
    ],
)  # fmt: skip
def test_no_text_of_the_authors_that_is_printed_may_hold_a_result(
    tmp_path: Path, root: Path, file: str, content: dict, place: str, what: str
) -> None:
    inspect(tmp_path, root, CITED)
    (tmp_path / "report/paper" / file).write_text(json.dumps(content), encoding="utf-8")
    found = [finding for finding in inspect_manuscript(tmp_path) if finding.rule == "typed-result"]
    message = f"{what!r} is typed by hand"
    assert found == [Finding("typed-result", f"report/paper/{file}: {place}", message)]


def test_levels_of_confidence_are_no_results(tmp_path: Path, root: Path) -> None:
    inspect(tmp_path, root, CITED)
    note = "Bars are 95 % t intervals, 94.12 % intervals below; the effect is shown with a chance of 80 %."
    path = tmp_path / "report/paper/figures.yaml"
    path.write_text(json.dumps({"figures": {"a": {"note": note}}}), encoding="utf-8")
    assert [finding for finding in inspect_manuscript(tmp_path) if finding.rule == "typed-result"] == []


def test_a_claim_s_sentence_says_the_number_that_it_is_judged_by(tmp_path: Path, root: Path) -> None:
    assert inspect(tmp_path, root, CITED) == []
    paper = tmp_path / "report/paper"
    (paper / "original.csv").write_text("id,accuracy_pct\na,70.60\n", encoding="utf-8")
    claims = {
        "it": {"sentence": "It reaches 70.6 %.", "quoted": ["a"]},
        "other": {"sentence": "100 % ours.", "quoted": []},
    }
    (paper / "claims.yaml").write_text(json.dumps({"claims": claims}), encoding="utf-8")
    assert [finding for finding in inspect_manuscript(tmp_path) if finding.rule == "typed-result"] == []
    claims["it"]["sentence"] = "It reaches 74.4 %."
    (paper / "claims.yaml").write_text(json.dumps({"claims": claims}), encoding="utf-8")
    assert [finding for finding in inspect_manuscript(tmp_path) if finding.rule == "typed-result"] == [
        Finding(
            "typed-result",
            "report/paper/claims.yaml: claims.it.sentence",
            "'74.4 %' is none of the values that the claim quotes: 70.60",
        )
    ]


def test_metadata_must_be_complete(tmp_path: Path, root: Path) -> None:
    findings = inspect(tmp_path, root, CITED, metadata="title: ''\nauthors: []\n")
    messages = [finding.message for finding in findings if finding.rule == "metadata-incomplete"]
    assert messages[:2] == ["the field 'title' is missing or empty", "the field 'authors' is missing or empty"]
    assert "code: 'url' is missing or empty" in messages


def test_the_build_refuses_what_no_report_may_have_in_one_message(tmp_path: Path, root: Path) -> None:
    inspect(tmp_path, root, CITED + "TODO and [@nobody].\nWe reach 71.23 %.")
    with pytest.raises(ConfigurationError) as caught:
        refuse_faults(tmp_path)
    assert str(caught.value) == (
        "placeholder: report/paper/sections/10-body.md:2: 'TODO' is no sentence of the report\n"
        "  to do: write the sentence, or delete it\n"
        "typed-result: report/paper/sections/10-body.md:3: '71.23 %' is typed by hand\n"
        "  to do: print it as a quantity, such as << accuracy(…) >> or << original(…) >>, or as << verdict(…) >>\n"
        "citation-unknown: report/paper/sections/10-body.md:2: '@nobody' has no entry in references.bib\n"
        "  to do: correct the key, or add the entry to references.bib"
    )


def test_every_rule_says_what_it_asks_and_what_to_do() -> None:
    for rule in RULES.values():
        assert rule.what
        assert rule.fix
