"""The context has everything a page may name, from the repository's own files, and refuses what does not exist."""

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from experiments.plan import load_plan
from experiments.spec import ConfigurationError, State
from experiments.status import RunStatus
from report.context import build_context
from report.facts import Facts
from report.judge.claims import Claims
from report.listings.run_list import devices_of
from report.listings.table_kinds import build_table, read_tables
from report.pages.origins import ORIGINS_TABLE, SECTION
from report.pages.prose import fill_in
from report.pages.vocabulary import Vocabulary
from report.quantities import Quantity
from report.unknown import UnknownName
from tests.made_up import make_cell, make_evidence, make_facts, make_run, waiting
from tests.test_prose import SETTERS

Words = dict[str, Callable[..., Any]]
ROOT = Path(__file__).resolve().parent.parent
LAST = {name: group.runs[-1].name for name, group in load_plan(ROOT / "experiments/plan.yaml").groups.items()}
SPELLED = {"five": 5, "ten": 10, "twenty": 20, "forty": 40, "fifty": 50, "a hundred": 100, "two hundred": 200}


@pytest.fixture(scope="module")
def words() -> Words:
    return dict(Vocabulary(make_facts(Path(__file__).resolve().parent.parent)).words)


@pytest.fixture(scope="module")
def empty() -> Words:
    return dict(Vocabulary(make_facts(Path(__file__).resolve().parent.parent, runs=0)).words)


@pytest.fixture
def checkout(root: Path, tmp_path: Path) -> Path:
    """A copy of what a report is made from, with no record."""
    for name in ("experiments", "report/paper", "convmixer"):
        ignored = shutil.ignore_patterns("records", "executed", "__pycache__")
        shutil.copytree(root / name, tmp_path / name, ignore=ignored)
    return tmp_path


def test_the_context_of_an_empty_ledger_is_complete(checkout: Path) -> None:
    context = build_context(checkout)
    assert context.frame.empty
    assert {status.state for status in context.statuses} == {State.PENDING}
    assert context.tables.keys() == read_tables(checkout).keys()
    assert context.verdicts.keys() == context.claims.keys()
    assert not context.metadata["title"].startswith("[")
    assert context.original["authors-25"].parts.text == "92.60 %"
    assert context.registry.printed == ()


def test_the_repositorys_prose_reads_with_a_single_seed_of_each_cell(checkout: Path) -> None:
    """There is no interval to speak of then, though every group is complete."""
    plan = checkout / "experiments/plan.yaml"
    plan.write_text(re.sub(r"(?m)^    seeds: .*", "    seeds: [0]", plan.read_text(encoding="utf-8")), encoding="utf-8")
    facts = make_facts(checkout)
    assert {cell.n for cell in facts.evidence.cells()} == {1}
    text = fill_in(checkout / "report/paper/sections", Vocabulary(facts).words, SETTERS, lambda quantity: None)
    assert text


def read_report(facts: Facts) -> str:
    """The prose of the repository with its numbers, and all that tables say of themselves, without marks."""

    def refuse_what_is_not_there(printed: object) -> None:
        assert not isinstance(printed, Quantity) or printed.is_measured, (
            f"the prose prints {printed.id!r}, which is pending"
        )

    setters = replace(
        SETTERS,
        quantity=lambda quantity: {"latex": quantity.parts.text},
        outcome=lambda outcome: {"latex": str(outcome)},
    )
    sections, closing = ROOT / "report/paper/sections", (ORIGINS_TABLE, SECTION)
    text = fill_in(sections, Vocabulary(facts).words, setters, refuse_what_is_not_there, closing=closing)
    prose = re.sub(r"`([^`]*)`\{=\w+\}|\[([^]]*)\]\{\.bound\}", r"\1\2", text.holes.fill(text, "latex"))
    tables = [build_table(declared, facts) for declared in read_tables(ROOT).values()]
    reasons = [reason for verdict in facts.verdicts.values() for reason in (*verdict.reasons, *verdict.notes)]
    return "\n".join([prose, *(f"{table.title} {table.note}" for table in tables), *reasons])


@pytest.mark.parametrize("names", [(), *((name,) for name in LAST.values()), None], ids=["none", *LAST, "all"])
def test_the_report_says_what_is_so_whichever_runs_are_recorded(names: tuple[str, ...] | None) -> None:
    """With no run, with the last one of a group alone, and with all: what it says is absent is, and one is no plural."""
    facts = make_facts(ROOT, names=names)
    text = re.sub(r"\s+", " ", read_report(facts))
    recorded = {record.parameters["epochs"] for record in facts.evidence.recorded()}
    for found in re.finditer(r"[Nn]o run of ([\w ]+?) epochs", text):
        absent = {SPELLED.get(word) or int(word) for word in re.split(r" or (?:of )?", found[1])}
        assert not absent & recorded, f"{found[0]!r}, and runs of {sorted(recorded)} epochs are recorded"
    several = r"(?<![\d.,])1 (?:of (?:the )?\d+ )?(?:\w+ )??(?:are|were|have|differ|wait)\b"
    assert re.findall(several, text) == []
    assert re.findall(r"(?<![\d.,])1 (?:runs|claims|groups|settings|models|records|seeds|levels)\b", text) == []
    single = r"\b(?:0|[2-9]|\d\d+) of (?:the )?\d+ (?:\w+ )??(?:is|was|has|differs|waits)\b"
    assert re.findall(single, text) == []
    assert set(re.findall(r"\]\(#(sec:[\w-]+)\)", text)) <= set(re.findall(r"\{#(sec:[\w-]+)", text))


def test_prose_may_name_cells_that_a_rehearsal_leaves_out(root: Path) -> None:
    words = Vocabulary(make_facts(root, smoke=True)).words
    assert words["accuracy"]("kernel-size", epochs=4321).why == "no run is planned"
    assert words["resolved"]("kernel-size", "precision", epochs=4321) == ""
    with pytest.raises(UnknownName, match="no cell of group 'kernel-size' with epochs=4321"):
        Vocabulary(make_facts(root, runs=0)).words["accuracy"]("kernel-size", epochs=4321)


def test_the_context_of_the_rehearsal_has_no_prefix_and_says_what_it_is(checkout: Path) -> None:
    context = build_context(checkout, smoke=True)
    assert context.smoke and context.words["smoke"] is True
    assert context.words["prefix"]() == ""


def test_a_title_with_a_prefix_is_refused(checkout: Path) -> None:
    path = checkout / "report/paper/metadata.yaml"
    path.write_text(path.read_text().replace('title: "', 'title: "[Re] ', 1))
    with pytest.raises(ConfigurationError, match=r"metadata.yaml: title: found '\[Re\] .*a title without prefix"):
        build_context(checkout)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("kind: verdicts", "kind: verdict", "tables.yaml: tables.verdicts.kind: found 'verdict'; expected parameters"),
        ("    group: earlier-5\n", "", "tables.yaml: tables.earlier-5: the field 'group' is missing"),
        (
            "group: earlier-5\n",
            "group: earlier-6\n",
            "tables.yaml: tables.earlier-5: there is no group 'earlier-6'; the plan has earlier-5, ",
        ),
        (
            "protocols: [paper",
            "protocols: [papr",
            "tables.yaml: tables.hyperparameters: claims.yaml has no protocol 'papr'; it has paper, ",
        ),
        ("columns: [width", "columns: [breadth", "tables.yaml: tables.parameters: columns: no parameter 'breadth'; "),
    ],
)
def test_an_unclear_declaration_of_a_table_is_refused(checkout: Path, old: str, new: str, message: str) -> None:
    path = checkout / "report/paper/tables.yaml"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises((ConfigurationError, UnknownName)) as caught:
        build_context(checkout)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda w: w["accuracy"]("earlier-5", patch_size=4), "74.35 ± 0.25 % (n = 3)"),
        (lambda w: w["measure"]("earlier-5", "seconds", patch_size=4), "600 s (n = 3)"),
        (
            lambda w: w["difference"]("patch-size-k9", {"patch_size": 1}, {"patch_size": 8}),
            "+7.00 ± 0.23 pp (n = 3)",
        ),
        (lambda w: w["gap"]("earlier-5", "earlier-p4-k9", patch_size=4), "+3.73 ± 0.25 pp (n = 3)"),
        (lambda w: w["gap"]("earlier-5", "paper-p4-k9", patch_size=4), "not comparable"),
        (lambda w: w["original"]("authors-100"), "more than 94 %"),
        (lambda w: w["earlier"]("earlier-p2-k9"), "80 %"),
        (lambda w: w["parameters"](width=256, depth=8, patch_size=2, kernel_size=5), "594,186"),
        (lambda w: w["parameters"](width=512, depth=8, patch_size=2, kernel_size=5), "2,236,938"),
        (lambda w: w["margin"]("authors-25"), "0.50 pp"),
        (lambda w: w["alpha"](), "0.05"),
        (lambda w: w["count"]("seeds", "authors-25"), "5"),
        (lambda w: w["count"]("claims not tested"), "0"),
        (lambda w: w["count"]("groups waiting"), "0"),
        (lambda w: w["count"]("runs pending"), "0"),
        (lambda w: w["count"]("claims", "earlier-40"), "2"),
        (lambda w: w["cost"]("hours", "authors-25"), "0.83 h"),
        (lambda w: w["cost"]("train hours", "authors-25"), "0.75 h"),
        (lambda w: w["cost"]("seconds per run"), "600 s"),
        (lambda w: w["cost"]("memory"), "900 MiB"),
        (lambda w: w["cost"]("energy"), "gated"),
        (lambda w: w["price"](), "0 h"),
        (lambda w: w["setting"]("keras", "batch_size"), "128"),
        (lambda w: w["epochs"]("authors-100"), "100"),
    ],
)
def test_a_word_of_prose_gives_its_quantity(words: Words, call: Callable[[Words], Quantity], text: str) -> None:
    assert call(words).parts.text == text


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda w: w["accuracy"]("earlier-5", patch_size=4), "pending"),
        (lambda w: w["difference"]("patch-size-k9", {"patch_size": 1}, {"patch_size": 8}), "pending"),
        (lambda w: w["parameters"](width=256, depth=8, patch_size=2, kernel_size=5), "594,186"),
        (lambda w: w["count"]("runs recorded"), "0"),
        (lambda w: w["count"]("runs to come", "earlier-40"), "6"),
        (lambda w: w["cost"]("hours"), "0.00 h"),
        (lambda w: w["cost"]("seconds per run"), "pending"),
        (lambda w: w["price"]("authors-25"), "2.5 h"),
        (lambda w: w["setting"]("keras", "batch_size"), "pending"),
    ],
)
def test_a_word_of_prose_works_without_any_record(empty: Words, call: Callable[[Words], Quantity], text: str) -> None:
    assert call(empty).parts.text == text


def test_a_run_may_be_asked_for_by_its_parameters_in_groups_or_in_the_whole_plan(root: Path, empty: Words) -> None:
    any_run = Vocabulary(make_facts(root, names=(LAST["inside-25"],))).any_run
    assert any_run() and any_run(epochs=25) and any_run(recipe="authors", epochs=25) and any_run("inside-25", epochs=25)
    assert not any_run("kernel-size-25") and not any_run("kernel-size-25", epochs=25)
    assert not any_run(epochs=200) and not any_run(recipe="keras") and not any_run(recipe="authors", epochs=100)
    assert not empty["any_run"]() and not empty["any_run"](epochs=25)
    assert not Vocabulary(make_facts(root, smoke=True)).any_run(epochs=200)  # a rehearsal has none


def test_devices_are_told_once_with_all_their_threads(root: Path) -> None:
    records = [status.record for status in make_facts(root).evidence.statuses.values() if status.record is not None][:4]
    kinds = ({"threads": 2}, {"threads": 1}, {"gpu": "a GPU"}, {"threads": 2})
    changed = [
        replace(record, provenance={**record.provenance, **kind}) for record, kind in zip(records, kinds, strict=True)
    ]
    assert devices_of(changed) == "a CPU (1 and 2 threads); a GPU"
    assert (devices_of(changed[:1]), devices_of(())) == ("a CPU (2 threads)", "")


def test_words_of_prose_that_give_text(words: Words, empty: Words) -> None:
    assert (words["seeds"]("earlier-5"), words["setting"]("keras", "clip_norm")) == ("0, 1, 2", "none")
    assert (words["device"](), empty["device"]()) == ("a CPU (2 threads)", "no device yet")
    assert (words["environment"]("torch"), empty["environment"]("torch")) == ("2.15.0", "pending")
    assert (words["state"]("authors-25"), empty["state"]("authors-25")) == ("complete", "pending")
    assert (words["prefix"](), empty["prefix"]()) == ("", "")  # these records lack the originals' settings
    assert words["claim"]("kernel-size").sentence.startswith("A larger kernel raises")
    assert words["verdict"]("kernel-size").outcome == "REPRODUCED"
    assert words["question"]("earlier-5").endswith("?") and words["title"]("earlier-5")


def test_the_environment_is_that_of_all_runs_of_which_each_may_lack_a_fact(root: Path) -> None:
    first, second = make_cell([0.5, 0.6])
    more = {"versions": {"torch": "2.15.0", "timm": "1.0.15"}, "gpu": "a GPU"}
    second = replace(second, record=replace(second.record, provenance={**second.record.provenance, **more}))
    facts = replace(make_facts(root, runs=0), evidence=make_evidence(first, second))
    environment = Vocabulary(facts).words["environment"]
    assert [environment(name) for name in ("torch", "timm", "gpu", "driver")] == ["2.15.0", "1.0.15", "a GPU", "none"]


def test_a_setting_that_is_a_list_is_told_as_text(root: Path) -> None:
    evidence = make_evidence(*make_cell([0.5, 0.6], settings={"betas": [0.9, 0.999]}))
    words = Vocabulary(replace(make_facts(root, runs=0), evidence=evidence)).words
    assert words["setting"]("keras", "betas") == "[0.9, 0.999]"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda w: w["accuracy"]("earlier-6"), "there is no group 'earlier-6'; the plan has earlier-5, earlier-40, "),
        (lambda w: w["accuracy"]("earlier-5", kernel_size=9), "2 cells of group 'earlier-5' with kernel_size=9; name "),
        (lambda w: w["measure"]("earlier-5", "f1", patch_size=4), "record 'cifar10-keras-e5-w256-d8-p4-k9-s0' has no "),
        (lambda w: w["measure"]("earlier-5", 1), "measure('earlier-5', 1): a metric is called by its name, as in "),
        (lambda w: w["original"]("paper"), "original.csv has no row 'paper'; it has paper-p1-k3, "),
        (lambda w: w["earlier"]("paper-p1-k9"), "earlier('paper-p1-k9'): this row is of 'paper'; the earlier "),
        (lambda w: w["verdict"]("kernel"), "claims.yaml has no claim 'kernel'; it has outperforms-baselines, "),
        (lambda w: w["margin"]("authors-100"), "claim 'authors-100' has no margin; those that have one are "),
        (lambda w: w["count"]("run"), "count('run'): there is no such count; there are runs, runs recorded, "),
        (lambda w: w["cost"]("money"), "cost('money'): there is no such cost; there are hours, train hours, work, "),
        (lambda w: w["setting"]("keras", "momentum"), "setting('keras', 'momentum'): no such setting is recorded; "),
        (lambda w: w["setting"]("keras", "epochs"), "setting('keras', 'epochs'): it differs between the records: "),
        (lambda w: w["any_run"](epochs=26), "any_run: no planned cell has epochs=26; they have 4, 5, 10, 20, 25, "),
        (
            lambda w: w["any_run"](epoch=25),
            "any_run: no planned cell has epoch=25; they have activation, architecture, ",
        ),
        (lambda w: w["environment"]("jax"), "environment('jax'): the records have no such fact; they have cpu, "),
    ],
)
def test_an_unknown_name_in_prose_is_refused_with_the_known_ones(
    words: Words, call: Callable[[Words], Any], message: str
) -> None:
    with pytest.raises(UnknownName) as caught:
        call(words)
    assert str(caught.value).startswith(message)


def test_a_parameter_of_the_notebook_may_be_called_as_an_argument_of_a_word() -> None:
    called = {"group": "a", "metric": "cosine", "name": "b"}
    other = [waiting(make_run(0, kernel_size=5, group="c", metric="euclidean", name="d"))]
    facts = Facts(Claims(0.05, 3, {}, {}, {}), {}, make_evidence(*make_cell([0.7], **called), *other), {})
    words = Vocabulary(facts)
    assert words.accuracy("sweep", **called).value == 0.7
    assert words.measure("sweep", "parameters", **called).value == 600_458
    assert words.resolved("sweep", "precision", **called) == "fp32"


def test_an_unknown_recipe_is_refused_even_without_records(empty: Words) -> None:
    with pytest.raises(UnknownName, match="there is no recipe 'karas' in the plan; it has authors, keras"):
        empty["setting"]("karas", "batch_size")


def test_a_recipe_that_only_records_know_is_refused_once_every_cell_has_one() -> None:
    def facts(*statuses: RunStatus) -> Facts:
        return Facts(Claims(0.05, 3, {}, {}, {}), {}, make_evidence(*statuses), {})

    def without_recipe(status: RunStatus) -> RunStatus:
        parameters = {name: value for name, value in status.run.parameters.items() if name != "recipe"}
        return replace(status, run=replace(status.run, parameters=parameters))

    done, todo = without_recipe(make_cell([0.7])[0]), without_recipe(waiting(make_run(0, kernel_size=5)))
    with pytest.raises(UnknownName, match="there is no recipe 'karas' among the records; they have keras"):
        Vocabulary(facts(done)).setting("karas", "batch_size")
    settings = {name: value for name, value in done.record.settings.items() if name != "recipe"}
    record = replace(done.record, settings=settings, parameters=done.run.parameters)
    with pytest.raises(UnknownName, match="among the records; they have none: give `recipe` to record\\(\\) among the"):
        Vocabulary(facts(replace(done, record=record))).setting("None", "batch_size")
    pending = Vocabulary(facts(done, todo)).setting("other", "batch_size")
    assert isinstance(pending, Quantity) and pending.state is State.PENDING
