"""Pandoc: from the prose as Markdown to every format, in one process; what it made of a text is kept.

It is kept under a digest of all that it follows from: the text with its holes, the bibliography, the style, the filter
and pandoc itself. Where only numbers have changed the text is the same, for they go into the holes afterwards.
"""

import hashlib
import json
import os
import re
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

from experiments.files import write_atomically
from experiments.reading import MAX_SECTION_BYTES, read_text
from experiments.spec import ConfigurationError, MissingTool
from report.pages.bibliography import check_bibliography, check_style
from report.pages.formats import FORMATS
from report.pages.holes import Holes, Pieces
from report.pages.prose import Filled

PANDOC_SECONDS = 120  # brackets within brackets can keep it busy for ever
PANDOC_MEMORY = "1g"  # of its heap; a report takes a tenth of it
_TWICE = re.compile(r"Duplicate identifier '([^']+)'")
KEPT = 8  # at most this many conversions are kept, the newest


@dataclass(frozen=True)
class Prose:
    """The prose in every format, and the headings for a list of contents."""

    bodies: Pieces
    contents: tuple[Mapping[str, Any], ...]


def pandoc_binary() -> str:
    """Where pandoc is: that of the wheel, called directly because starting Python for it would double its time.

    The wheel's own search is asked only where it is not in its usual place, or the environment names another.
    """
    wheel = find_spec("pypandoc")
    usual = Path(wheel.origin).parent / "files" / "pandoc" if wheel is not None and wheel.origin else None
    if usual is not None and usual.is_file() and "PYPANDOC_PANDOC" not in os.environ:
        return str(usual)
    import pypandoc

    try:
        return pypandoc.get_pandoc_path()
    except OSError as error:
        raise MissingTool("pandoc is not there; install the wheel pypandoc-binary") from error


class Conversion:
    """Pandoc at work on TEXT; `finish` waits for it. Use as a context manager, which keeps its temporary folder.

    Citations come from PAPER/references.bib in the style PAPER/numeric.csl. What was made before of all the same is
    taken from CACHE, where one is named, and pandoc is not started.
    """

    def __init__(self, text: str, paper: Path, filter_path: Path, cache: Path | None = None) -> None:
        self._paper = paper
        bibliography, style = paper / "references.bib", paper / "numeric.csl"
        check_bibliography(bibliography)
        check_style(style)
        self._holes = text.holes if isinstance(text, Filled) else Holes()
        self._process: subprocess.Popen[str] | None = None
        pandoc = pandoc_binary()
        self._kept = (
            None if cache is None else cache / f"{_digest(text, pandoc, filter_path, bibliography, style)}.json"
        )
        self._made = _recall(self._kept)
        self._folder = tempfile.TemporaryDirectory()
        if self._made is not None:
            return
        source, self._out = Path(self._folder.name, "prose.md"), Path(self._folder.name, "prose")
        source.write_text(text, encoding="utf-8")
        command = [pandoc, "+RTS", f"-M{PANDOC_MEMORY}", "-RTS", "lua", str(filter_path), str(source)]
        command += [str(bibliography), str(style), str(self._out), self._holes.seal]
        # Where it refuses a text, or is stopped, pandoc leaves its temporary files: they go with the folder.
        environment = {**os.environ, **dict.fromkeys(("TMPDIR", "TMP", "TEMP"), self._folder.name)}
        environment["LC_ALL"] = "C.UTF-8"  # in which it reads the names of files: a folder may be called Maß
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, encoding="utf-8", env=environment
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._process is not None:
            with self._process as process:  # closes its pipe and waits
                process.kill()
        self._folder.cleanup()

    def finish(self) -> Prose:
        """The prose in every format. Raises ConfigurationError with pandoc's own words where it refuses the text."""
        if self._made is None:
            self._made = self._wait()
            _keep(self._made, self._kept)
        bodies = {name: self._holes.fill(body, name) for name, body in self._made.bodies.items()}
        return Prose(bodies, self._made.contents)

    def _wait(self) -> Prose:
        """What pandoc makes, its holes still empty."""
        assert self._process is not None
        try:
            _, complaints = self._process.communicate(timeout=PANDOC_SECONDS)
        except subprocess.TimeoutExpired as error:
            why = f"it is not done after {PANDOC_SECONDS} s; look for many brackets or quotations within each other"
            raise ConfigurationError(f"pandoc: {why}") from error
        if twice := _TWICE.search(complaints):
            raise ConfigurationError(f"pandoc: {_places_of(twice[1], self._paper)}")
        if self._process.returncode or complaints.strip():
            raise ConfigurationError(f"pandoc: {complaints.strip() or f'ended with {self._process.returncode}'}")
        bodies = {name: self._out.with_suffix(f".{name}").read_text(encoding="utf-8").rstrip("\n") for name in FORMATS}
        contents = json.loads(self._out.with_suffix(".toc").read_text(encoding="utf-8"))
        return Prose(bodies, tuple(contents))


def _places_of(id: str, paper: Path) -> str:
    """Where the sections of PAPER name ID; pandoc counts the lines of the sections as one text, filled in."""
    sections = {path.name: read_text(path, MAX_SECTION_BYTES) for path in sorted(paper.glob("sections/*.md"))}
    places = [
        f"{name}:{number}"
        for name, text in sections.items()
        for number, line in enumerate(text.splitlines(), 1)
        if re.search(rf"#{re.escape(id)}(?![\w:.-])", line)
    ]
    return f"two headings have the identifier {id!r} ({', '.join(places)}); give one of them another, or none"


def _digest(text: str, pandoc: str, *files: Path) -> str:
    """A digest of all that a conversion follows from; of PANDOC, 200 MB long, the place, size and time."""
    known = os.stat(pandoc)
    found = hashlib.sha256(repr((text, pandoc, known.st_size, known.st_mtime_ns)).encode())
    for path in files:
        found.update(hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:32]


def _recall(kept: Path | None) -> Prose | None:
    """What was KEPT; None where there is nothing, or not the whole."""
    try:
        content = json.loads(kept.read_text(encoding="utf-8")) if kept is not None else {}
        return Prose({name: content["bodies"][name] for name in FORMATS}, tuple(content["contents"]))
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _keep(made: Prose, kept: Path | None) -> None:
    if kept is None:
        return
    write_atomically(kept, json.dumps({"bodies": dict(made.bodies), "contents": made.contents}, ensure_ascii=False))
    ages = sorted(kept.parent.glob("*.json"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    for old in ages[KEPT:]:
        old.unlink(missing_ok=True)


def texts_of_tex(texts: Iterable[str], place: str) -> list[str]:
    """TEXTS, a line each, with the letters that TeX's accents and commands stand for; ConfigurationError names PLACE."""
    command = [pandoc_binary(), "+RTS", f"-M{PANDOC_MEMORY}", "-RTS", "--sandbox", "--from=latex-smart", "--to=plain"]
    given = "\n\n".join(texts)
    try:
        read = subprocess.run(
            [*command, "--wrap=none"],
            input=given,
            capture_output=True,
            encoding="utf-8",
            timeout=PANDOC_SECONDS,
            check=True,
        )
    except subprocess.SubprocessError as error:
        why = str(getattr(error, "stderr", None) or error).strip()
        raise ConfigurationError(f"{place} cannot be read: {why}") from error
    lines = [" ".join(line.split()) for line in read.stdout.split("\n\n") if line.strip()]
    if len(lines) != given.count("\n\n") + 1:
        raise ConfigurationError(f"{place}: found one that is not one line of text")
    return lines
