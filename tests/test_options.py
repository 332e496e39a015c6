"""A table or figure whose option has the wrong type, or names what is not there, is refused with its place."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from experiments.spec import ConfigurationError, ReproductionError
from report.context import build_context
from report.figures import build_figures, read_figures
from report.listings.table_kinds import read_tables
from report.unknown import UnknownName

PAPER = Path(__file__).parent.parent / "report/paper"
MAY_BE = (("margin", None), ("beside", []))
WRONG = (None, 3, "", True, [], {}, [3], ["a", {}], {"a": [1]}, {"a": None}, [["a"]], [{"group": "a"}])


def declarations(file: str) -> dict[str, Any]:
    return yaml.safe_load((PAPER / file).read_text(encoding="utf-8"))


def options(file: str) -> Iterator[tuple[str, str]]:
    """One declaration of each kind with each of its options."""
    seen = set()
    for name, item in declarations(file)[file.removesuffix(".yaml")].items():
        for option in item:
            if option != "kind" and (item["kind"], option) not in seen:
                seen.add((item["kind"], option))
                yield name, option


def read(file: str, content: dict[str, Any], folder: Path) -> None:
    target = folder / "report/paper" / file
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(yaml.safe_dump(content), encoding="utf-8")
    read_figures(target) if file == "figures.yaml" else read_tables(folder)


@pytest.mark.parametrize("file", ["figures.yaml", "tables.yaml"])
def test_an_option_of_another_type_is_refused_with_its_place(file: str, tmp_path: Path) -> None:
    part, tried = file.removesuffix(".yaml"), 0
    for name, option in options(file):
        content = declarations(file)
        kept = content[part][name][option]
        for wrong in WRONG:
            if type(wrong) is type(kept) and wrong in ("", {}) or (option, wrong) in MAY_BE:
                continue  # an empty note, parameters of every cell
            content[part][name][option] = wrong
            with pytest.raises(ConfigurationError) as error:
                read(file, content, tmp_path)
                pytest.fail(f"{name}.{option}: {wrong!r} is accepted")
            assert str(error.value).startswith(f"{file}: {part}.{name}.{option}"), (name, option, wrong)
            tried += 1
    assert tried > 200


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (
            "tables.yaml",
            "against: earlier report",
            "against: the report",
            "tables.yaml: tables.earlier-5: against: 'the report'",
        ),
        (
            "tables.yaml",
            "beside: [paper,",
            "beside: [papr,",
            "tables.yaml: tables.earlier-5: original.csv has no row of 'papr'",
        ),
        (
            "tables.yaml",
            "along: kernel_size",
            "along: kernelsize",
            "tables.yaml: tables.effects: no parameter 'kernelsize'",
        ),
        (
            "tables.yaml",
            "[architecture, patch_size]",
            "[nosuch]",
            "tables.yaml: tables.robustness: no parameter 'nosuch'",
        ),
        (
            "tables.yaml",
            "  kernel_size: Kernel",
            "  kernelsize: Kernel",
            "tables.yaml: labels: no run has a parameter 'kernelsize'; did you mean 'kernel_size'",
        ),
        ("tables.yaml", "Kernel size k", "3", "tables.yaml: labels.kernel_size: found 3; expected text"),
        (
            "figures.yaml",
            "parameter: kernel_size",
            "parameter: x",
            "figures.yaml: figures.kernel-and-patch: no parameter 'x'",
        ),
        ("figures.yaml", "label: architecture", "label: x", "figures.yaml: figures.architectures: no parameter 'x'"),
        ("figures.yaml", "[patch_size, kernel_size]", "[x]", "figures.yaml: figures.data-and-budget: no parameter 'x'"),
        (
            "claims.yaml",
            "group: kernel-size\n",
            "group: [a]\n",
            "claims.yaml: claims.kernel-size.group: found ['a']; expected",
        ),
        (
            "claims.yaml",
            "weight_decay: 0.01",
            "weight_decay: {}",
            "claims.yaml: protocols.paper.settings.weight_decay: found {}",
        ),
    ],
)
def test_a_typo_of_the_authors_is_one_message(paper: Path, file: str, old: str, new: str, message: str) -> None:
    path = paper / "report/paper" / file
    before = path.read_text(encoding="utf-8")
    assert old in before
    try:
        path.write_text(before.replace(old, new, 1), encoding="utf-8")
        with pytest.raises(ReproductionError) as caught:
            context = build_context(paper)
            build_figures(paper / "report/paper/figures.yaml", context.evidence, context.facts.original)
        assert str(caught.value).startswith(message)
        assert "\n" not in str(caught.value)
    finally:
        path.write_text(before, encoding="utf-8")


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what the tables and figures of this repository are made from."""
    copy, root = tmp_path_factory.mktemp("paper"), PAPER.parent.parent
    for name in ("convmixer", "experiments", "report/paper"):
        shutil.copytree(root / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "executed"))
    return copy


def test_what_is_not_there_is_named_with_its_place(tmp_path: Path) -> None:
    root = PAPER.parent.parent
    context = build_context(root)
    content = declarations("figures.yaml")
    content["figures"]["equivalence"]["groups"] = ["equivalense"]
    path = tmp_path / "figures.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    with pytest.raises(UnknownName, match=r"^figures.yaml: figures.equivalence: there is no group 'equivalense'; "):
        build_figures(path, context.evidence, context.facts.original)
