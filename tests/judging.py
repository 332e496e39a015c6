"""A judge's bench for tests: claims of every kind on made-up cells, and the verdict on the first of them."""

import base64
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from experiments.spec import Correct, State
from experiments.status import RunStatus
from report.evidence import Evidence
from report.judge.claims import Claim, ClaimKind, Claims, Protocol
from report.judge.verdict import Verdict
from report.original import Quoted
from report.verdicts import judge
from tests.made_up import make_cell, make_evidence

PROTOCOL = Protocol("ours", "the original", "its README", {"dataset": "cifar10", "epochs": 5, "batch_size": 128})
SIZES = {"patch_size": 8, "kernel_size": 3}


def quoted(id: str, accuracy: str = "71.00", *, prefix: str = "", **cell: Any) -> Quoted:
    """A quoted accuracy of the cell with kernel size 3, or with what CELL names."""
    sizes = {**SIZES, **cell}
    return Quoted(id, "paper", prefix, accuracy, "600", "cifar10", sizes, 5, "keras", None, "Table 1", "seen", "")


ORIGINAL = {"a": quoted("a"), "b": quoted("b", "69.00"), "large": quoted("large", kernel_size=5)}


def claim(kind: ClaimKind, **fields: Any) -> Claim:
    """A claim on the group `sweep`."""
    common = {
        "id": "it",
        "sentence": "It is so.",
        "source": "Table 1",
        "certainty": "seen",
        "kind": kind,
        "main": True,
        "alpha": 0.05,
        "min_seeds": 3,
        "protocol": PROTOCOL,
        "group": "sweep",
        "reason": "because",
    }
    return Claim(**{**common, **fields})


DIRECTION = claim(
    ClaimKind.DIRECTION, better={"kernel_size": 5}, worse={"kernel_size": 3}, margin=0.005, family="effects"
)
TREND = claim(ClaimKind.TREND, along="kernel_size", order="increasing", margin=0.005, family="effects")
EQUALITY = claim(ClaimKind.EQUALITY, cell={"kernel_size": 3}, quoted=("a",), margin=0.01)
THRESHOLD = claim(ClaimKind.THRESHOLD, cell={"kernel_size": 3}, quoted=("a",))
EQUIVALENCE = claim(ClaimKind.EQUIVALENCE, cell={"path": "native"}, reference={"path": "plain"}, margin=0.005)


def claims_file(*claims: Claim) -> Claims:
    """A claims.yaml of CLAIMS."""
    return Claims(0.05, 3, {one.id: one for one in claims}, {}, {})


def verdicts_on(evidence: Evidence, *claims: Claim) -> dict[str, Verdict]:
    """The verdicts on CLAIMS by id."""
    return judge(claims_file(*claims), evidence, ORIGINAL)


def judged(evidence: Evidence, *claims: Claim) -> Verdict:
    """The verdict on the first of CLAIMS."""
    return verdicts_on(evidence, *claims)[claims[0].id]


def sweep(*levels: Sequence[float], **settings: Any) -> Evidence:
    """Evidence with kernel sizes 3, 5, 7, ... of these accuracies."""
    cells = [make_cell(level, kernel_size=3 + 2 * index, settings=settings) for index, level in enumerate(levels)]
    return make_evidence(*(status for cell in cells for status in cell))


def ways(plain: Sequence[float], native: Sequence[float], *, images: int | None = None) -> Evidence:
    """Evidence with the same cell computed in two ways, seeds from 0; IMAGES test images where named."""
    cells = []
    for path, accuracies in (("plain", plain), ("native", native)):
        for status in make_cell(accuracies, path=path, settings={"path": path}):
            correct = None if images is None else Correct("test", images, "")
            cells.append(_renamed(status, path, correct))
    return make_evidence(*cells)


def _renamed(status: RunStatus, path: str, correct: Correct | None) -> RunStatus:
    """STATUS under a name that tells the path, as the plan's names do."""
    assert status.record is not None
    run = replace(status.run, name=f"{path}-s{status.run.seed}", cell=path)
    return replace(status, run=run, record=replace(status.record, run=run.name, correct=correct))


def bits(right: Sequence[bool]) -> Correct:
    """One bit an image."""
    text = "".join("1" if value else "0" for value in right)
    packed = int(text.ljust(-(-len(text) // 8) * 8, "0"), 2).to_bytes(-(-len(text) // 8), "big")
    return Correct("test", len(text), base64.b64encode(packed).decode())


def with_provenance(statuses: Sequence[RunStatus], **more: Any) -> list[RunStatus]:
    """STATUSES whose records' provenance says MORE."""
    changed = []
    for status in statuses:
        assert status.record is not None and status.state is State.MEASURED
        record = replace(status.record, provenance={**status.record.provenance, **more})
        changed.append(replace(status, record=record))
    return changed
