"""Holes in the prose: where a number, a table or a figure goes, which each format sets in its own way.

Pandoc is given the holes and hands them on as they are; they are filled in what it has made. So it need not read what
goes there, four times over, and what it made serves again where only numbers have changed.

No text of a paper can pass for a hole: files of text are read without control characters, values lose theirs, and an
entity that spells one cannot also hold the seal, a digest of the files that it could stand in.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping

from report.pages.formats import Fragment

Pieces = Mapping[str, str]  # one thing in every format: format name -> its text in that format's language

_EDGE = "\x02"


def make_seal(sources: Iterable[str]) -> str:
    """A digest of the authors' SOURCES, which therefore cannot hold it themselves; the same for the same sources."""
    return hashlib.blake2b("\0".join(sources).encode(), digest_size=16).hexdigest()


class Holes:
    """The holes of one text under one `seal`, numbered in the order in which they were made."""

    def __init__(self, seal: str = "") -> None:
        """Without a SEAL there is no hole, and no text passes for one."""
        self.seal = seal
        self._pieces: list[Pieces] = []

    def clear(self) -> None:
        """Forget what was put in so far: the text is filled in anew."""
        self._pieces.clear()

    def inline(self, pieces: Pieces) -> Fragment:
        """A hole in a line, as Markdown, for PIECES, whose lines become one."""
        mark = self._add({name: " ".join(text.split("\n")) for name, text in pieces.items()})
        return Fragment(f"`{mark}`{{=hole-{self.seal}}}")

    def block(self, pieces: Pieces) -> Fragment:
        """A hole between paragraphs, as Markdown, for PIECES."""
        return Fragment(f"\n\n```{{=hole-{self.seal}}}\n{self._add(pieces)}\n```\n\n")

    def _add(self, pieces: Pieces) -> str:
        self._pieces.append(pieces)
        return self._mark(len(self._pieces) - 1)

    def _mark(self, number: int | str) -> str:
        return f"{_EDGE}{number}-{self.seal}{_EDGE}"

    def fill(self, text: str, format: str) -> str:
        """TEXT in the language of FORMAT with what goes into its holes; where a format has nothing for one, nothing."""
        if not self.seal:
            return text
        return re.sub(self._mark("([0-9]+)"), lambda found: self._pieces[int(found[1])].get(format, ""), text)
