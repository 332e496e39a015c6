"""What reads a stranger's file, and the errors by which it may refuse one; any other error is a finding."""

import hashlib
import io
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from experiments import arithmetic
from experiments.notebooks import notebook_parameters
from experiments.plan import load_plan
from experiments.reading import MAX_RECORD_BYTES, read_text
from experiments.spec import Record, ReproductionError
from report.checking.typed import typed_results
from report.figures import read_figures
from report.judge.claims import read_claims
from report.listings.table_kinds import read_tables
from report.original import read_original
from report.pages.bibliography import check_bibliography, check_style, read_entries
from report.pages.citation import entry_of
from report.pages.front import build_front
from report.pages.journal import journal_fields, to_latex, to_yaml
from report.pages.metadata import read_metadata
from report.pages.prose import Setters, fill_in
from report.recipes import read_recipes
from tests.small_repository import PLAN, make_repository

if TYPE_CHECKING:
    from convmixer.model import ConvMixer

ROOT = Path(__file__).resolve().parents[2]
_PROSE = '# A {#sec:a}\n\nIt is << text >>, << ref("tab:a") >>.\n\n<% if smoke %>\n<< table("a") >>\n<% endif %>\n'
_SETTERS = Setters(*[lambda *_: {"latex": "x"}] * 4)


@dataclass(frozen=True)
class Target:
    """One reader: `place` is where its file lies below a folder that `prepare` has laid out."""

    name: str
    place: str
    seeds: Callable[[], list[bytes]]
    load: Callable[[Path], object]
    prepare: Callable[[Path], object] = lambda folder: None
    refusals: tuple[type[Exception], ...] = (ReproductionError,)

    def try_out(self, content: bytes, folder: Path) -> None:
        """Reads CONTENT below FOLDER, which is prepared; raises what is no refusal."""
        path = folder / self.place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        try:
            self.load(path)
        except self.refusals as error:
            assert str(error), "a refusal has to say something"


def _files(pattern: str, most: int = 3) -> Callable[[], list[bytes]]:
    return lambda: [path.read_bytes() for path in sorted(ROOT.glob(pattern))[:most]]


def _load_metadata(path: Path) -> None:
    metadata = read_metadata(path)
    build_front(metadata, smoke=False)
    fields = journal_fields(metadata)
    to_yaml(fields), to_latex(fields)


def _load_bibliography(path: Path) -> None:
    check_bibliography(path)
    entry_of("he2016deep", read_entries(read_text(path)))


def _load_expression(path: Path) -> None:
    arithmetic.evaluate(arithmetic.parse(read_text(path), "work"), {"size": 2, "seed": 0, "name": "tiny"}, "work")


def _load_prose(path: Path) -> None:
    list(typed_results(read_text(path)))
    fill_in(path.parent, {"text": "plain", "smoke": True}, _SETTERS, lambda quantity: None)


def _make_checkpoint() -> list[bytes]:
    """A checkpoint without its digest, which a stranger would set right."""
    import torch

    from convmixer.checkpoint import save_checkpoint

    with tempfile.TemporaryDirectory() as folder:
        save_checkpoint(
            Path(folder, "c"), {"seed": 0}, {"step": 1, "losses": torch.zeros(3), "epochs": [{"loss": 0.5}]}
        )
        return [Path(folder, "c").read_bytes()[32:]]


def _load_checkpoint(path: Path) -> None:
    import torch

    from convmixer.checkpoint import load_checkpoint

    content = path.read_bytes()
    path.write_bytes(hashlib.sha256(content).digest() + content)
    with _refusing():
        load_checkpoint(path, {"seed": 0}, torch.device("cpu"))


def _make_model() -> "ConvMixer":
    from convmixer.model import ConvMixer

    return ConvMixer(width=4, depth=1, patch_size=2, kernel_size=3, num_classes=2)


def _make_weights() -> list[bytes]:
    """What a training script saves by `torch.save`: bare, and wrapped."""
    import torch

    weights = _make_model().state_dict()
    files = [io.BytesIO(), io.BytesIO()]
    for file, content in zip(files, (weights, {"epoch": 3, "state_dict": weights}), strict=True):
        torch.save(content, file)
    return [file.getvalue() for file in files]


def _make_safetensors() -> list[bytes]:
    from convmixer.weights import save_weights

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "w.safetensors")
        save_weights(_make_model(), path)
        return [path.read_bytes()]


def _load_weights(path: Path) -> None:
    from convmixer.weights import describe_weights, load_weights

    with _refusing():
        describe_weights(path)
        load_weights(_make_model(), path)


@contextmanager
def _refusing() -> Iterator[None]:
    """The model's own errors are refusals too; its package imports PyTorch, which the other targets do without."""
    from convmixer import ConvMixerError

    try:
        yield
    except ConvMixerError as error:
        raise ReproductionError(str(error)) from error


def _copy_quotations(folder: Path) -> None:
    shutil.copyfile(ROOT / "report/paper/original.csv", folder / "original.csv")


_PAPER = "report/paper"
TARGETS: Mapping[str, Target] = {
    target.name: target
    for target in (
        Target(
            "record",
            "record.json",
            _files("experiments/records/*.json", 2),
            lambda path: Record.from_text(read_text(path, MAX_RECORD_BYTES), path.name),
        ),
        Target(
            "plan",
            "root/experiments/plan.yaml",
            lambda: [PLAN.encode()],
            load_plan,
            lambda folder: make_repository(folder / "root"),
        ),
        Target(
            "notebook",
            "notebook.ipynb",
            _files("tests/notebooks/*.ipynb", 4),
            notebook_parameters,
        ),
        Target("expression", "work.txt", lambda: [b"size * 10", b"2 ** size // (1 + seed)"], _load_expression),
        Target("claims", "claims.yaml", _files(f"{_PAPER}/claims.yaml"), read_claims, _copy_quotations),
        Target("original", "original.csv", _files(f"{_PAPER}/original.csv"), read_original),
        Target("recipes", "recipes.csv", _files(f"{_PAPER}/recipes.csv"), read_recipes),
        Target("metadata", "metadata.yaml", _files(f"{_PAPER}/metadata.yaml"), _load_metadata),
        Target("figures", "figures.yaml", _files(f"{_PAPER}/figures.yaml"), read_figures),
        Target(
            "tables",
            f"{_PAPER}/tables.yaml",
            _files(f"{_PAPER}/tables.yaml"),
            lambda path: read_tables(path.parents[2]),
        ),
        Target("bibliography", "references.bib", _files(f"{_PAPER}/references.bib"), _load_bibliography),
        Target("style", "numeric.csl", _files(f"{_PAPER}/numeric.csl"), check_style),
        Target("checkpoint", "checkpoint.pt", _make_checkpoint, _load_checkpoint),
        Target("weights", "weights.pth", _make_weights, _load_weights),
        Target("safetensors", "weights.safetensors", _make_safetensors, _load_weights),
        Target("prose", "report/paper/sections/10-body.md", lambda: [_PROSE.encode()], _load_prose),
    )
}
