"""claims.yaml and original.csv are read strictly: whatever is unclear is refused by file and field."""

from pathlib import Path

import pytest

from experiments.plan import load_plan
from experiments.spec import ConfigurationError
from report.judge.claims import ClaimKind, read_claims
from report.original import CSV_COLUMNS, read_original
from report.quantities import Tier

CLAIMS = """
version: 1
alpha: 0.05
min_seeds: 3
formulas:
  parameters: {expression: "width * channels", constants: {cifar10: {channels: 3}}, source: the paper}
protocols:
  paper: {title: the paper, source: Table 1, settings: {epochs: 200}}
claims:
  kernel:
    sentence: Larger kernels help.
    source: Table 1
    certainty: seen in primary source
    kind: trend
    main: true
    family: effects
    protocol: paper
    group: sweep
    along: kernel_size
    order: increasing
    margin: 0.005
    reason: half a point
"""
HEADER = ",".join(CSV_COLUMNS)
ROW = "a,paper,,93.61,559,cifar10,width=256 depth=8,200,paper,50000,Table 1,seen,"


def test_a_claim_of_our_own_cannot_decide_on_the_original(tmp_path: Path) -> None:
    assert refusal_of_claims(tmp_path, CLAIMS.replace("certainty: seen in primary source", "certainty: ours")) == (
        "claims.yaml: claims.kernel.main: found True; expected false: a claim of certainty 'ours' cannot decide on the "
        "original"
    )


def test_what_an_original_says_cannot_be_moved_out_of_the_count_as_a_claim_of_our_own(tmp_path: Path) -> None:
    text = CLAIMS.replace("certainty: seen in primary source", "certainty: ours").replace("main: true", "main: false")
    assert refusal_of_claims(tmp_path, text + "    quoted: [a, b]\n") == (
        "claims.yaml: claims.kernel.quoted: found ['a', 'b']; expected none: what an original says is no claim of certainty "
        "'ours'"
    )


def refusal_of_claims(folder: Path, text: str) -> str:
    path = folder / "claims.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as caught:
        read_claims(path)
    return str(caught.value)


def refusal_of_original(folder: Path, *lines: str) -> str:
    path = folder / "original.csv"
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(ConfigurationError) as caught:
        read_original(path)
    return str(caught.value)


def test_a_claim_is_read_with_its_protocol_and_the_common_rules(tmp_path: Path) -> None:
    (tmp_path / "claims.yaml").write_text(CLAIMS)
    claims = read_claims(tmp_path / "claims.yaml")
    kernel = claims.claims["kernel"]
    assert (kernel.id, kernel.kind, kernel.alpha, kernel.min_seeds) == ("kernel", ClaimKind.TREND, 0.05, 3)
    assert kernel.protocol is not None and kernel.protocol.settings == {"epochs": 200}
    assert claims.formulas["parameters"].evaluate({"width": 256}) == 768


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "kind: trend",
            "kind: trends",
            (
                "claims.yaml: claims.kernel.kind: found 'trends'; expected direction | trend | equality | equivalence "
                "| threshold | count | compound"
            ),
        ),
        ("    along: kernel_size\n", "", "claims.yaml: claims.kernel: the field 'along' is missing"),
        (
            "protocol: paper",
            "protocol: papr",
            "claims.yaml: claims.kernel.protocol: found 'papr'; expected null or one of paper",
        ),
        (
            "order: increasing",
            "order: up",
            "claims.yaml: claims.kernel.order: found 'up'; expected increasing | decreasing",
        ),
        (
            "margin: 0.005",
            "margin: 5",
            "claims.yaml: claims.kernel.margin: found 5; expected a number between 0 and 1 (0.005 is 0.5 pp)",
        ),
        (
            "certainty: seen in primary source",
            "certainty: our",
            "claims.yaml: claims.kernel.certainty: found 'our'; expected a known one; did you mean 'ours'?",
        ),
        (
            "order: increasing",
            "order: increasing\n    essential: [epoch]",
            "claims.yaml: claims.kernel.essential: found 'epoch'; expected a setting of its protocol; did you mean 'epochs'?",
        ),
        (
            "protocol: paper",
            "protocol: null\n    essential: [epochs]",
            "claims.yaml: claims.kernel.essential: found 'epochs'; expected none without a protocol",
        ),
        ("min_seeds: 3", "min_seeds: 1", "claims.yaml: min_seeds: found 1; expected a whole number from 2 on"),
        ("version: 1", "version: 2", "claims.yaml: version: found 2; expected 1"),
        ("main: true", "main: maybe", "claims.yaml: claims.kernel.main: found 'maybe'; expected true or false"),
        (
            "family: effects",
            "family: [effects]",
            "claims.yaml: claims.kernel.family: found ['effects']; expected text that is not empty",
        ),
        (
            "along: kernel_size",
            "along: [kernel_size]",
            "claims.yaml: claims.kernel.along: found ['kernel_size']; expected text that is not empty",
        ),
        (
            "order: increasing",
            "order: increasing\n    cell: {patch_size: [2]}",
            "claims.yaml: claims.kernel.cell.patch_size: found [2]; expected a number, text, true or false",
        ),
        (
            "constants: {cifar10: {channels: 3}}",
            "constants: {}",
            (
                "claims.yaml: formulas.parameters.constants: found {}; expected a mapping of at least one data set to "
                "its constants"
            ),
        ),
        (
            "constants: {cifar10: {channels: 3}}",
            "constants: {10: {channels: 3}}",
            "claims.yaml: formulas.parameters.constants: the name: found 10; expected text that is not empty",
        ),
        (
            "constants: {cifar10: {channels: 3}}",
            "constants: {cifar10: {3: 3}}",
            "claims.yaml: formulas.parameters.constants.cifar10: the name: found 3; expected text that is not empty",
        ),
        (
            "alpha: 0.05",
            "alpha: 0.5",
            "claims.yaml: alpha: found 0.5; expected an error rate between 0 and 0.5, such as 0.05",
        ),
        (
            "margin: 0.005",
            "margin: 0.005\n    alpha: 0.6",
            "claims.yaml: claims.kernel.alpha: found 0.6; expected an error rate between 0 and 0.5, such as 0.05",
        ),
        (
            "settings: {epochs: 200}",
            "settings: {200: 5}",
            "claims.yaml: protocols.paper.settings: the name: found 200; expected text that is not empty",
        ),
    ],
)
def test_an_unclear_claim_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert refusal_of_claims(tmp_path, CLAIMS.replace(old, new, 1)) == message


def test_an_unknown_field_of_a_claim_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    message = refusal_of_claims(tmp_path, CLAIMS + "    margn: 0.01\n")
    assert message.startswith("claims.yaml: claims.kernel: unknown field 'margn'; the fields are along, alpha, ")


def test_a_claim_given_twice_is_refused(tmp_path: Path) -> None:
    message = refusal_of_claims(tmp_path, CLAIMS + CLAIMS[CLAIMS.index("  kernel:") :])
    assert "the key 'kernel' stands twice" in message


def test_a_compound_names_each_of_its_parts_once(tmp_path: Path) -> None:
    fields = "sentence: Both., source: Table 1, certainty: seen in primary source, kind: compound, main: false"
    for parts in ("[kernel, kernel]", "[kernel, other, kernel]", "[kernel]"):
        text = f"{CLAIMS}  whole: {{{fields}, protocol: null, parts: {parts}}}\n"
        text += CLAIMS[CLAIMS.index("  kernel:") :].replace("kernel:", "other:")
        assert refusal_of_claims(tmp_path, text) == (
            f"claims.yaml: claims.whole.parts: found {parts[1:-1].split(', ')!r}; expected two or more of kernel, other, "
            "each once"
        )


def test_a_formula_with_an_unknown_name_is_refused(tmp_path: Path) -> None:
    (tmp_path / "claims.yaml").write_text(CLAIMS)
    formula = read_claims(tmp_path / "claims.yaml").formulas["parameters"]
    with pytest.raises(ConfigurationError, match="claims.yaml: formulas.parameters: unknown name 'width'"):
        formula.evaluate({"depth": 8})
    with pytest.raises(ConfigurationError, match="parameters: dataset: found 'mnist'; expected one of cifar10"):
        formula.evaluate({"width": 8, "dataset": "mnist"})


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="claims.yaml: cannot be read: No such file or directory"):
        read_claims(tmp_path / "claims.yaml")


def test_a_quoted_row_prints_as_its_source_has_it(tmp_path: Path) -> None:
    (tmp_path / "original.csv").write_text(f"# a comment\n{HEADER}\n{ROW}\n")
    row = read_original(tmp_path / "original.csv")["a"]
    assert (row.cell, row.epochs, row.train_images) == ({"width": 256, "depth": 8}, 200, 50_000)
    assert (row.accuracy.parts.text, row.parameters.parts.text) == ("93.61 %", "559 k")
    assert (row.accuracy.tier, row.accuracy.origin) == (Tier.QUOTED, ("Table 1",))
    assert row.accuracy.fidelity is not None
    assert row.accuracy.fidelity.words == "cifar10, 200 epochs, recipe paper, 50,000 training images"


@pytest.mark.parametrize("dataset", ["cifar10", "CIFAR10", "CIFAR-10", "cifar-10"])
def test_a_quoted_row_fits_a_cell_however_the_plan_spells_the_data_set(tmp_path: Path, dataset: str) -> None:
    (tmp_path / "original.csv").write_text(f"{HEADER}\n{ROW}\n")
    row = read_original(tmp_path / "original.csv")["a"]
    assert row.fits({"dataset": dataset, "width": 256, "depth": 8})
    assert not row.fits({"dataset": f"{dataset}0", "width": 256, "depth": 8})
    assert not row.fits({"width": 256, "depth": 8})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            ",93.61,",
            ",93.6.1,",
            "original.csv:3: accuracy_pct: found '93.6.1'; expected a number in digits, such as 91.2, or nothing",
        ),
        (",93.61,", ",936.1,", "original.csv:3: accuracy_pct: found '936.1'; expected per cent, 0 to 100"),
        (
            "depth=8",
            "depth",
            "original.csv:3: cell: found 'width=256 depth'; expected name=value pairs, separated by spaces",
        ),
        (",200,", ",many,", "original.csv:3: epochs: found 'many'; expected a whole number or nothing"),
        (
            "paper,,",
            "paper,about,",
            "original.csv:3: prefix: found 'about'; expected '' | 'more than' | 'at least'",
        ),
        ("Table 1", "", "original.csv:3: source: found ''; expected text that is not empty"),
        (",seen,", ",seen,one,", "original.csv:3: 'a' has more than 13 fields; quote its commas"),
    ],
)
def test_an_unclear_row_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert refusal_of_original(tmp_path, "# a remark", HEADER, ROW.replace(old, new, 1)) == message


def test_an_id_given_twice_is_refused(tmp_path: Path) -> None:
    message = refusal_of_original(tmp_path, HEADER, ROW, ROW)
    assert message == "original.csv: the id 'a' stands twice; give each row its own"


def test_an_unknown_column_is_refused(tmp_path: Path) -> None:
    message = refusal_of_original(tmp_path, HEADER + ",colour", ROW + ",red")
    assert message.startswith("original.csv: columns: found ['id', 'who', ")
    assert message.endswith("expected exactly " + ", ".join(CSV_COLUMNS))


def test_the_papers_claims_name_existing_groups_cells_and_rows(root: Path) -> None:
    claims = read_claims(root / "report/paper/claims.yaml")
    original = read_original(root / "report/paper/original.csv")
    plan = load_plan(root / "experiments/plan.yaml")
    for claim in claims.claims.values():
        assert set(claim.quoted) <= set(original), claim.id
        assert set(claim.parts) <= set(claims.claims), claim.id
        groupless = claim.untested or claim.kind in (ClaimKind.COUNT, ClaimKind.COMPOUND)
        assert groupless or claim.group in plan.groups, claim.id
        for which in (claim.cell, claim.reference, claim.better, claim.worse):
            runs = plan.groups[claim.group].runs if which and claim.group else ()
            assert not which or any(which.items() <= run.parameters.items() for run in runs), claim.id


@pytest.mark.parametrize(
    ("sizes", "count"),
    [
        ((256, 8, 1, 3), 559_114),
        ((256, 8, 1, 5), 591_882),
        ((256, 8, 1, 9), 706_570),
        ((256, 8, 2, 9), 708_874),
        ((256, 8, 4, 9), 718_090),
    ],
)
def test_the_papers_formula_gives_the_quoted_counts(root: Path, sizes: tuple[int, ...], count: int) -> None:
    claims = read_claims(root / "report/paper/claims.yaml")
    original = read_original(root / "report/paper/original.csv")
    cell = dict(zip(("width", "depth", "patch_size", "kernel_size"), sizes, strict=True))
    quoted = [row.parameters_thousands for row in original.values() if row.cell == cell and row.parameters_thousands]
    assert claims.formulas["parameters"].evaluate(cell) == count
    assert quoted and set(quoted) == {str(round(count / 1000))}
