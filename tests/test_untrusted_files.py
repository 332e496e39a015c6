"""Files from strangers: links, devices, bombs and deceiving characters are refused by name, quickly and in little memory."""

import os
import re
import sys
from pathlib import Path

import pytest

from experiments import reading
from experiments.reading import Unreadable, is_file_name, read_bytes, read_text, refuse_links
from experiments.spec import ConfigurationError
from experiments.strict_yaml import read_yaml


def write(folder: Path, content: bytes | str, name: str = "a.yaml") -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def refusal(path: Path) -> str:
    """Why YAML at PATH is refused."""
    with pytest.raises(ConfigurationError) as caught:
        read_yaml(path)
    return str(caught.value)


def test_a_link_is_not_followed_wherever_it_leads(tmp_path: Path) -> None:
    secret = write(tmp_path, "a: secret", "secret.yaml")
    for number, target in enumerate((secret, Path("/dev/zero"), tmp_path / "nothing", tmp_path)):
        link = tmp_path / f"link-{number}.yaml"
        link.symlink_to(target)
        assert refusal(link) == f"link-{number}.yaml: it is a link; expected the file itself"


def test_what_is_no_plain_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        with pytest.raises(Unreadable) as caught:
            read_bytes(path, 10)
        assert str(caught.value) == f"{path.name}: it is no plain file; expected one"


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    assert read_bytes(write(tmp_path, b"1234"), 4) == b"1234"
    with pytest.raises(Unreadable) as caught:
        read_bytes(write(tmp_path, b"12345"), 4)
    assert str(caught.value) == "a.yaml: it has more than 4 bytes, the most that is read of such a file"


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="a file system that tells no sizes is that of Linux")
def test_a_file_whose_size_is_not_told_is_read_whole_and_up_to_its_limit() -> None:
    path = Path("/proc/self/status")
    assert path.stat().st_size == 0
    assert read_bytes(path, 2**20).startswith(b"Name:") and b"Threads:" in read_bytes(path, 2**20)
    with pytest.raises(Unreadable, match="more than 100 bytes"):
        read_bytes(path, 100)


def test_a_file_as_large_as_a_disk_costs_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "sparse.yaml"
    with path.open("wb") as file:
        file.truncate(2**40)
    assert refusal(path) == "sparse.yaml: it has more than 1,048,576 bytes, the most that is read of such a file"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: b\nc: \xff\n", "a.yaml:2: found the byte 0xFF; expected UTF-8: save the file so"),
        ("a: b".encode("utf-16"), "a.yaml:1: found the byte 0xFF; expected UTF-8: save the file so"),
        (b"a: \xed\xa0\x80", "a.yaml:1: found the byte 0xED; expected UTF-8: save the file so"),  # a lone surrogate
        ("\ufeffa: b", "a.yaml:1: found a mark of byte order (BOM); expected UTF-8 without it: save the file so"),
        ("a: b\ufeff", f"a.yaml:1: found U+FEFF ZERO WIDTH NO-BREAK SPACE; {reading.REMEDY}"),
        ("a: b\nc: d\u202ee", f"a.yaml:2: found U+202E RIGHT-TO-LEFT OVERRIDE; {reading.REMEDY}"),
        ("a: \u2066b", f"a.yaml:1: found U+2066 LEFT-TO-RIGHT ISOLATE; {reading.REMEDY}"),
        ("a: b\x1b[31m", f"a.yaml:1: found U+001B; {reading.REMEDY}"),
        ("a: b\0", f"a.yaml:1: found U+0000; {reading.REMEDY}"),
        ("a: \U000e0041", f"a.yaml:1: found U+E0041 TAG LATIN CAPITAL LETTER A; {reading.REMEDY}"),
        (r'a: {b: "\u202E"}', f"a.yaml: a.b: found U+202E RIGHT-TO-LEFT OVERRIDE; {reading.REMEDY}"),
        (r'"\e": 1', f"a.yaml: the names: found U+001B; {reading.REMEDY}"),
    ],
)
def test_other_encodings_and_characters_that_deceive_are_named_with_their_line(
    tmp_path: Path, content: bytes | str, message: str
) -> None:
    assert refusal(write(tmp_path, content)) == message


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a file system may refuse such a name")
@pytest.mark.parametrize("name", [b"a\xff.md", "a\u202e.md".encode()])
def test_a_file_whose_name_cannot_be_printed_as_it_stands_is_refused(tmp_path: Path, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    path.write_text("text", encoding="utf-8")
    message = f"{path.name}: its name is not UTF-8, or has a character that nobody sees; rename the file"
    with pytest.raises(Unreadable, match=re.escape(message)):
        read_text(path)


@pytest.mark.parametrize(
    ("text", "tag"),
    [
        ("!!bool maybe", "tag:yaml.org,2002:bool"),
        ("!!timestamp soon", "tag:yaml.org,2002:timestamp"),
        ('!!int ""', "tag:yaml.org,2002:int"),
        ("!!str 5", "tag:yaml.org,2002:str"),
        ("!!set {b, c}", "tag:yaml.org,2002:set"),
        ("[1, !mine 2]", "!mine"),
    ],
)
def test_a_value_with_a_tag_is_refused(tmp_path: Path, text: str, tag: str) -> None:
    assert (
        refusal(write(tmp_path, f"b: 1\na: {text}"))
        == f"a.yaml:2: found the tag {tag!r}; write the value without a tag"
    )


@pytest.mark.parametrize("text", ["±×μ→¬中", "שלום عربي", "a\u200db", "naïve", "😀", "tab\there\nline"])
def test_every_language_can_be_written(tmp_path: Path, text: str) -> None:
    assert read_text(write(tmp_path, text)) == text


def laughs(levels: int, first: str = "[x, x]") -> str:
    """Lists of ten aliases of lists of ten aliases."""
    lines = [f"a0: &a0 {first}"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines)


def merges(levels: int) -> str:
    """Mappings merged from ten mappings merged from ten."""
    lines = ["a0: &a0 {x: 1}"]
    lines += [f"a{n}: &a{n}\n  <<: [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, levels)]
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (laughs(12), "a.yaml:6: more than 200,000 values, repeated ones counted"),
        (laughs(5, f'"{"x" * 9000}"'), "a.yaml:4: more than 200,000 values, repeated ones counted"),
        (merges(12), "a.yaml:11: more than 200,000 values, repeated ones counted"),
        ("a: " + "[" * 200_000, "a.yaml:1: more than 32 mappings and lists within each other"),
        ("- " * 5000 + "a", "a.yaml:1: more than 32 mappings and lists within each other"),
        ("? " * 5000 + "a", "a.yaml:1: more than 32 mappings and lists within each other"),
        ("a: &a [*a]", "a.yaml: this is no YAML: the alias 'a' stands in itself, or for nothing"),
        ("a: *b", "a.yaml: this is no YAML: the alias 'b' stands in itself, or for nothing"),
    ],
)
def test_bombs_are_refused_before_they_are_made(tmp_path: Path, text: str, message: str) -> None:
    assert refusal(write(tmp_path, text)) == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: !!python/object/apply:os.system [id]", "a.yaml:1: found the tag 'tag:yaml.org,2002:python/object/"),
        ("a: !!python/name:os.system", "a.yaml:1: found the tag 'tag:yaml.org,2002:python/name:os.system'"),
        ("a: " + "9" * 5000, "Exceeds the limit"),
        ("a: 2001-99-99", "month must be in 1..12"),
        ("a: !!binary YQ==", "a.yaml:1: found the tag 'tag:yaml.org,2002:binary'"),
        ("? [a]\n: 1", "found unhashable key"),
        ("a: {b: [.nan]}", "a.yaml: a.b[0]: found nan; expected a finite number"),
        ("a: 1.0e+400", "a.yaml: a: found inf; expected a finite number"),
        ("a: 1000000000000000000000", "a.yaml: a: found a whole number above"),
        ("a: 1\na: 2", "the key 'a' stands twice, again in line 2"),
        ("[1]", "a.yaml: found [1]; expected a mapping"),
    ],
)
def test_objects_and_numbers_without_an_end_are_refused(tmp_path: Path, text: str, message: str) -> None:
    assert message in refusal(write(tmp_path, text))


def test_aliases_and_merges_as_people_write_them_are_read(tmp_path: Path) -> None:
    path = write(tmp_path, "a: &a {x: 1, y: [1, 2]}\nb: {<<: *a, x: 2}\nc: *a")
    assert read_yaml(path) == {"a": {"x": 1, "y": [1, 2]}, "b": {"x": 2, "y": [1, 2]}, "c": {"x": 1, "y": [1, 2]}}


@pytest.mark.parametrize("name", ["a", "learning-curves", "cifar10-keras-e5.1_s0", "x" * reading.MAX_NAME, "console"])
def test_names_that_every_file_system_takes(name: str) -> None:
    assert is_file_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "/x",
        "a/b",
        "a\\b",
        "a b",
        ".hidden",
        "-rf",
        "a\0",
        "a\n",
        "é",
        "a.",
        "con",
        "NUL.json",
        "com1",
    ]
    + ["x" * (reading.MAX_NAME + 1), None, 3],
)
def test_names_that_lead_elsewhere_or_to_a_device(name: object) -> None:
    assert not is_file_name(name)


def test_a_link_anywhere_below_a_folder_is_found_and_none_is_walked(tmp_path: Path) -> None:
    (tmp_path / "in/deep").mkdir(parents=True)
    refuse_links(tmp_path)
    (tmp_path / "in/deep/loop").symlink_to(tmp_path)
    with pytest.raises(ConfigurationError, match=re.escape("deep/loop: it is a link; expected the file or folder")):
        refuse_links(tmp_path)
