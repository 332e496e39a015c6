"""Files a little wrong: the seeds with values replaced, pieces cut, repeated and moved, and what attackers write."""

import re
from collections.abc import Callable
from random import Random

# What YAML, JSON, CSV, BibTeX or a notebook may hold where something else belongs.
VALUES = tuple(
    text.encode()
    for text in (
        "null", "true", "0", "-1", "1.5", "2", "''", '""', "[]", "{}", "[1, a]", "{a: b}", "{1: 2}", '{"a": 1}', "[{}]", "[[]]",
        "1e400", "-.inf", ".nan", "NaN", "Infinity", "9" * 25, "9" * 5000, "2001-01-01", "2001-99-99", "1_0", "0x1f", "²",
        "'../../x'", "/etc/passwd", '"\\u202e"', '"\\ud800"', '"\\u0000"', "!!python/name:os.system", "!!binary YQ==",
        "&a [*a]", "*a", "{seed.__class__}", "{seed:>999999999}", "{", "}", "<< 1 >>", "<% for a in b %>", "=1+1", "\\input{x}",
        "$", "^^5c", "9**9**9", "(" * 300, "((size))", "x" * 300, "[", "{", ": :", "- -", "#", "\ufeff", "\u202e", "%", "@", "a, b",
    )
)  # fmt: skip
_PLACES = re.compile(rb"(?<=: )[^\n,}\]]+|(?<=- )[^\n]+|\"[^\"\n]*\"|-?\d+(?:\.\d+)?|[\w.-]+(?=:)|[^,\n]+(?=,)")
_Mutation = Callable[[bytes, Random], bytes]


def mutate(content: bytes, random: Random) -> bytes:
    """CONTENT with one to four faults; the same RANDOM makes the same ones."""
    for _ in range(random.randint(1, 4)):
        content = random.choices(_MUTATIONS, _WEIGHTS)[0](content, random)
    return content


def _replace_value(content: bytes, random: Random) -> bytes:
    places = list(_PLACES.finditer(content))
    if not places:
        return random.choice(VALUES)
    place = random.choice(places)
    return content[: place.start()] + random.choice(VALUES) + content[place.end() :]


def _insert(content: bytes, random: Random) -> bytes:
    at = random.randint(0, len(content))
    return content[:at] + random.choice(VALUES) + content[at:]


def _cut(content: bytes, random: Random) -> bytes:
    start, end = _choose_piece(content, random)
    return content[:start] + content[end:]


def _repeat(content: bytes, random: Random) -> bytes:
    start, end = _choose_piece(content, random)
    return content[:end] + content[start:end] * random.choice((1, 1, 40)) + content[end:]


def _flip(content: bytes, random: Random) -> bytes:
    if not content:
        return b"\0"
    at = random.randrange(len(content))
    return content[:at] + bytes([content[at] ^ 1 << random.randrange(8)]) + content[at + 1 :]


def _drop_line(content: bytes, random: Random) -> bytes:
    lines = content.split(b"\n")
    del lines[random.randrange(len(lines))]
    return b"\n".join(lines)


def _choose_piece(content: bytes, random: Random) -> tuple[int, int]:
    start = random.randint(0, len(content))
    return start, min(len(content), start + random.choice((1, 3, 10, 100)))


_MUTATIONS: tuple[_Mutation, ...] = (_replace_value, _insert, _cut, _repeat, _flip, _drop_line)
_WEIGHTS = (8, 2, 1, 1, 1, 2)
