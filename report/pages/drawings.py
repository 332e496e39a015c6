"""The drawings of one report: those drawn before are taken from the cache, the others are begun.

A drawing is kept under a digest of all that it follows from: its rows, the code that draws, Python and the packages.
What is found under that name is therefore the drawing that would be made, and what is not found is drawn.
"""

import hashlib
import re
import shutil
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from experiments.files import write_atomically
from report import freshness
from report.pages.pdf import pdf_of_svg
from report.plots.drawing import Studio
from report.plots.figure import Figure


def begin_drawing(figures: Iterable[Figure], folder: Path, studio: Studio, cache: Path) -> dict[str, "Drawing"]:
    """Every figure with something to draw, begun, those of most rows first; one that was drawn before is copied."""
    made_by = drawing_code() + freshness.describe_environment().encode()
    cache.mkdir(parents=True, exist_ok=True)
    drawn = {}
    for figure in sorted(figures, key=lambda figure: -len(figure.rows)):
        if figure.message:
            continue
        content = repr((figure.name, figure.kind, figure.rows, figure.options)).encode()
        kept = cache / f"{hashlib.sha256(made_by + content).hexdigest()[:32]}.svg"
        path = folder / f"{figure.name}.svg"
        is_kept = _is_whole(kept)
        if is_kept:
            shutil.copyfile(kept, path)
        drawn[figure.name] = Drawing(path, kept, None if is_kept else studio.draw(figure, folder))
    return drawn


def drawing_code() -> bytes:
    """The source of every module of `report` that drawing runs: drawing.py, pdf.py and what these import."""
    root, found, waiting = Path(__file__).parents[2], dict[str, bytes](), ["report.plots.drawing", "report.pages.pdf"]
    while waiting:
        name = waiting.pop()
        path = root / f"{name.replace('.', '/')}.py"
        if name not in found and path.is_file():
            found[name] = path.read_bytes()
            waiting += _imported(found[name].decode())
    return b"".join(found[name] for name in sorted(found))


def _imported(source: str) -> list[str]:
    """The modules of `report` that SOURCE imports, and other names that it takes from them."""
    lists = re.findall(r"^\s*from (report(?:\.\w+)*) import ([\w, ]+|\([^)]*\))", source, re.MULTILINE)
    members = [f"{module}.{name}" for module, listed in lists for name in re.findall(r"\w+", listed)]
    return [*re.findall(r"^\s*(?:from|import) (report(?:\.\w+)+)", source, re.MULTILINE), *members]


@dataclass(frozen=True)
class Drawing:
    """A figure's SVG, which may still be on its way."""

    path: Path
    kept: Path
    future: Future[None] | None

    def wait(self) -> Path:
        """The path, once the drawing is there."""
        if self.future is not None:
            self.future.result()
            if not _is_whole(self.kept):
                write_atomically(self.kept, self.path.read_bytes())
        return self.path

    def write_pdf(self) -> None:
        """Puts the drawing as a PDF beside it, for LaTeX."""
        kept, path = self.kept.with_suffix(".pdf"), self.wait().with_suffix(".pdf")
        if not _is_whole(kept):
            write_atomically(kept, pdf_of_svg(path.parent, path.stem))
        shutil.copyfile(kept, path)


def _is_whole(path: Path) -> bool:
    """Whether there is such a file, with its end: one that was cut off counts as none."""
    try:
        return path.read_bytes().rstrip().endswith(b"</svg>" if path.suffix == ".svg" else b"%%EOF")
    except FileNotFoundError:
        return False
