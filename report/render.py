"""The report: records and prose in, report/out out. Written to a folder beside it and swapped in whole at the end.

What takes time goes on side by side: others draw the figures while this process reads the records, and pandoc turns
the prose into every format at once. A build that fails leaves the old report as it was.
"""

import contextlib
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from experiments.spec import ConfigurationError, Incomplete, State
from report import freshness
from report.checking.manuscript import refuse_faults
from report.context import Context, build_context
from report.figures import build_figures, refuse_bands_of_no_rule
from report.pages.compose import Composer
from report.pages.drawings import begin_drawing
from report.pages.formats import FORMATS
from report.pages.pdf import ENGINES
from report.pages.swapping import swapped_in
from report.plots.drawing import Studio
from report.sentences import price_text
from report.words import first_few

OUTPUTS = ("markdown", "latex", "html", "pdf")
# The names of the files that a build writes.
_WRITTEN = re.compile(
    rf"report\.({'|'.join(format.suffix for format in FORMATS.values())}|pdf)"
    r"|provenance\.json|records\.csv|tables/[^/]+\.csv|figures/[^/]+\.(svg|pdf|csv)"
    r"|rescience/(figures/)?[^/]+\.(yaml|tex|bib|pdf)"
)


@dataclass(frozen=True)
class Built:
    """What a build left: the folder, its files by name, and what is still missing, in words."""

    out: Path
    files: tuple[str, ...]
    missing: tuple[str, ...]
    context: Context

    def __str__(self) -> str:
        where = os.path.relpath(self.out)
        if not self.missing:
            return f"{where}: {len(self.files)} files; every planned run is recorded"
        return "\n".join([f"{where}: {len(self.files)} files; still to run:", *(f"  {line}" for line in self.missing)])


def build_report(
    root: Path,
    *,
    out: Path | None = None,
    smoke: bool = False,
    formats: Iterable[str] | None = None,
    pdf: str = "typst",
    require_complete: bool = False,
    cache: Path | None = None,
) -> Built:
    """The report of the repository at ROOT in OUT (report/out), in FORMATS (all), its PDF by the engine PDF.

    What can be used again is kept in CACHE (.cache, where that can be written). Raises ReproductionError: for a mistake
    in what the authors write, with file and line; `Incomplete` where REQUIRE_COMPLETE and runs are missing; `MissingTool`
    where pandoc, typst or latexmk is not there.
    """
    wanted = _wanted(formats, pdf)
    standard = out is None and formats is None and pdf == "typst" and not smoke
    snapshot = freshness.begin(root) if standard else None
    out = (out or root / "report" / "out").absolute()
    _refuse_foreign_folder(out)
    refuse_faults(root)
    with Studio() as studio, _cache_of(root, cache) as kept, swapped_in(out) as folder:
        context = build_context(root, smoke=smoke, cache=kept)
        missing = missing_runs(context)
        if require_complete and missing:
            raise Incomplete("runs are missing:\n" + "\n".join(missing))
        declared = root / "report/paper/figures.yaml"
        refuse_bands_of_no_rule(declared, context.claims.values())
        figures = build_figures(declared, context.evidence, context.facts.original)
        drawn = begin_drawing(figures.values(), folder / "figures", studio, kept / "figures")
        composer = Composer(root, context, figures, folder, kept)
        composer.write(wanted, pdf, drawn)
        files = tuple(sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()))
    if snapshot is not None:
        with contextlib.suppress(OSError):  # A folder that cannot be written costs time, and nothing else.
            freshness.remember(root, snapshot, missing)
    return Built(out, files, missing, context)


@contextlib.contextmanager
def _cache_of(root: Path, cache: Path | None) -> Iterator[Path]:
    """CACHE or ROOT's own; of a repository that cannot be written, as a reviewer may have mounted it, one that is thrown away."""
    cache = cache or root / ".cache"
    if os.access(cache if cache.is_dir() else cache.parent, os.W_OK):
        yield cache
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)


def missing_runs(context: Context) -> tuple[str, ...]:
    """What is planned and not measured, a line a group: `earlier-40: 6 runs to come, about 3.1 h (a guess)`."""
    lines = []
    for group in context.evidence.groups:
        waiting = [status for status in context.evidence.runs(group) if status.state is not State.MEASURED]
        if waiting:
            lines.append(f"{group}: {price_text(waiting)}")
    return tuple(lines)


def _wanted(formats: Iterable[str] | None, pdf: str) -> tuple[str, ...]:
    if pdf not in ENGINES:
        raise ConfigurationError(f"pdf: found {pdf!r}; expected {' | '.join(ENGINES)}")
    wanted = tuple(OUTPUTS if formats is None else formats)
    for name in wanted:
        if name not in OUTPUTS:
            raise ConfigurationError(f"formats: found {name!r}; expected any of {', '.join(OUTPUTS)}")
    return wanted


def _refuse_foreign_folder(out: Path) -> None:
    """A build replaces its folder whole: one that holds anything but an earlier report is not ours to replace."""
    if out.exists() and not out.is_dir():
        raise ConfigurationError(f"--out: {os.path.relpath(out)!r} is a file; name a folder")
    there = [path.relative_to(out).as_posix() for path in out.rglob("*") if not path.is_dir()]
    is_report = "provenance.json" in there
    others = sorted(name for name in there if not (is_report and _WRITTEN.fullmatch(name)))
    if others:
        raise ConfigurationError(
            f"the folder {os.path.relpath(out)!r} holds other files, which a build would replace: "
            f"{first_few(others, 5)}; "
            "move them, or name a new or an empty folder by --out"
        )
