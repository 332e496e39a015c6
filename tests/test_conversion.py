"""What pandoc made is used again for the same text, filled with other numbers; holes are nobody's but the machinery's."""

import json
import tempfile
from pathlib import Path

import pytest

from experiments.spec import ConfigurationError
from report.pages.conversion import KEPT, Conversion
from report.pages.formats import ANGLE, FORMATS, Format
from report.pages.holes import Holes, make_seal
from report.pages.prose import Filled, Setters, fill_in
from tests.small_paper import accuracy, make_paper


def with_numbers(folder: Path, *, quantity: str, text: str = "We reach << ours >>.", **words: str) -> Filled:
    """The only section TEXT of the paper in FOLDER, filled in with a QUANTITY for every format."""
    sections = folder / "report/paper/sections"
    (sections / "10-body.md").write_text(text, encoding="utf-8")
    pieces = {name: f"{quantity} in {name}" for name in FORMATS}
    setters = Setters(*[lambda *_: pieces] * 4)
    return fill_in(sections, {"ours": accuracy(), **words}, setters, lambda quantity: None)


@pytest.fixture
def paper(tmp_path: Path, root: Path) -> Path:
    return make_paper(tmp_path / "paper", root, {})


def convert(root: Path, paper: Path, text: str, cache: Path | None) -> dict[str, str]:
    with Conversion(text, paper / "report/paper", root / "templates/prose.lua", cache) as conversion:
        return dict(conversion.finish().bodies)


def test_other_numbers_in_the_same_text_need_no_pandoc(tmp_path: Path, root: Path, paper: Path) -> None:
    cache = tmp_path / "cache"
    for number in ("71.23", "99.99"):
        bodies = convert(root, paper, with_numbers(paper, quantity=number), cache)
        for name, body in bodies.items():
            assert f"We reach {number} in {name}." in body
    (kept,) = cache.glob("*.json")
    assert "71.23" not in kept.read_text(encoding="utf-8")


def test_what_is_kept_is_what_is_used(tmp_path: Path, root: Path, paper: Path) -> None:
    cache, text = tmp_path / "cache", with_numbers(paper, quantity="71.23")
    first = convert(root, paper, text, cache)
    (kept,) = cache.glob("*.json")
    content = json.loads(kept.read_text(encoding="utf-8"))
    content["bodies"]["markdown"] = content["bodies"]["markdown"].replace("We reach", "They reach")
    kept.write_text(json.dumps(content), encoding="utf-8")
    again = convert(root, paper, text, cache)
    assert again == first | {"markdown": first["markdown"].replace("We reach", "They reach")}


def test_a_kept_conversion_that_another_build_takes_away_meanwhile_is_nothing(
    tmp_path: Path, root: Path, paper: Path
) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    (cache / "gone.json").symlink_to("nowhere")
    assert "We reach 71.23" in convert(root, paper, with_numbers(paper, quantity="71.23"), cache)["markdown"]


def test_a_further_format_need_not_be_one_of_pages(
    tmp_path: Path, root: Path, paper: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(FORMATS, "org", Format("org", "org", str, ANGLE))
    named = "local FORMATS = {\n"
    filter = (root / "templates/prose.lua").read_text(encoding="utf-8")
    assert filter.count(named) == 1
    (tmp_path / "templates").mkdir()
    further = filter.replace(named, f'{named}  org = {{ writer = "org", raw = "org" }},\n')
    (tmp_path / "templates/prose.lua").write_text(further, encoding="utf-8")
    text = "# Results\n\nWe reach << ours >>.\n\n# Runs {.appendix}\n\nNone."
    body = convert(tmp_path, paper, with_numbers(paper, quantity="71.23", text=text), None)["org"]
    assert "* Results\n" in body and "We reach 71.23 in org." in body and "* Runs\n" in body


def test_a_folder_with_an_umlaut_is_no_trouble_in_a_locale_without_any(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    paper = make_paper(tmp_path / "Prüfung", root, {})
    assert "We reach 71.23" in convert(root, paper, with_numbers(paper, quantity="71.23"), None)["markdown"]


def test_what_lua_is_told_by_this_machine_is_not_done(root: Path, paper: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUA_INIT", "error('begun')")
    assert "We reach 71.23" in convert(root, paper, with_numbers(paper, quantity="71.23"), None)["markdown"]


@pytest.mark.parametrize("content", ["", "{", "[]", '{"bodies": {}}', '{"bodies": {"html": 1}, "contents": 3}', "null"])
def test_what_was_cut_off_or_spoilt_is_made_again(tmp_path: Path, root: Path, paper: Path, content: str) -> None:
    cache, text = tmp_path / "cache", with_numbers(paper, quantity="71.23")
    first = convert(root, paper, text, cache)
    (kept,) = cache.glob("*.json")
    kept.write_text(content, encoding="utf-8")
    assert convert(root, paper, text, cache) == first
    assert json.loads(kept.read_text(encoding="utf-8"))["bodies"]


@pytest.mark.parametrize("changed", ["10-body.md", "references.bib", "numeric.csl", "prose.lua"])
def test_whatever_it_follows_from_makes_it_anew(tmp_path: Path, root: Path, paper: Path, changed: str) -> None:
    cache, lua = tmp_path / "cache", tmp_path / "prose.lua"
    lua.write_bytes((root / "templates/prose.lua").read_bytes())

    def run() -> None:
        text = with_numbers(paper, quantity="1", text="Other." if changed == "10-body.md" and made else "Text.")
        with Conversion(text, paper / "report/paper", lua, cache) as conversion:
            conversion.finish()

    made: list[Path] = []
    run()
    made = list(cache.iterdir())
    comment = {"references.bib": "\n@misc{z, title = {Z}}\n", "numeric.csl": "<!-- x -->", "prose.lua": "\n-- x\n"}
    if changed in comment:
        path = lua if changed == "prose.lua" else paper / "report/paper" / changed
        path.write_text(path.read_text(encoding="utf-8") + comment[changed], encoding="utf-8")
    run()
    assert len(list(cache.iterdir())) == 2


def test_only_the_newest_are_kept(tmp_path: Path, root: Path, paper: Path) -> None:
    cache = tmp_path / "cache"
    cache.mkdir()
    for number in range(KEPT + 3):
        (cache / f"{number:032}.json").write_text("{}")
    convert(root, paper, with_numbers(paper, quantity="1"), cache)
    kept = list(cache.iterdir())
    assert len(kept) == KEPT
    assert sum(len(path.read_text(encoding="utf-8")) > 2 for path in kept) == 1


def test_nothing_refused_is_kept(tmp_path: Path, root: Path, paper: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    for name in ("TMPDIR", "TMP", "TEMP"):
        monkeypatch.setenv(name, str(place))
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="a text would pass to html as it stands"):
            convert(root, paper, with_numbers(paper, quantity="1", text="`<b>`{=html}"), tmp_path / "cache")
    assert not (tmp_path / "cache").exists()
    assert list(place.iterdir()) == []  # nor does pandoc leave anything


def forgeries(seal: str) -> list[str]:
    """Ways to write the mark of the first hole under SEAL without the machinery."""
    return [f"0-{seal}", f"\x020-{seal}\x02", f"&#2;0-{seal}&#2;", f"&#x2;0-{seal}&#x2;", f"`0-{seal}`{{=hole-{seal}}}"]


def test_a_value_cannot_pass_for_a_hole(tmp_path: Path, root: Path, paper: Path) -> None:
    """Values may come from files that the seal is no digest of, such as the plan."""
    body = "We reach << ours >>, says << word >>."
    seal = with_numbers(paper, quantity="1", text=body, word="x").holes.seal
    for forged in forgeries(seal):
        bodies = convert(root, paper, with_numbers(paper, quantity="71.23", text=body, word=forged), None)
        assert [body.count("71.23") for body in bodies.values()] == [1] * len(FORMATS)


def test_the_prose_and_the_bibliography_cannot_hold_their_own_digest(paper: Path) -> None:
    before = with_numbers(paper, quantity="1", text="Text.").holes.seal
    assert with_numbers(paper, quantity="2", text="Text.").holes.seal == before
    assert with_numbers(paper, quantity="1", text=f"Text {before}.").holes.seal != before
    with (paper / "report/paper/references.bib").open("a", encoding="utf-8") as file:
        file.write(f"\n@misc{{z, title = {{{before}}}}}\n")
    assert with_numbers(paper, quantity="1", text="Text.").holes.seal != before


def test_holes_take_what_stands_in_them_for_text() -> None:
    r"""Not for a pattern: `\1` and marks within pieces stay as they are."""
    holes = Holes(make_seal(["a"]))
    first, second = holes.inline({"latex": r"\1\g<0>"}), holes.inline({"latex": f"\x021-{holes.seal}\x02"})
    assert holes.fill(first, "latex").startswith(r"`\1\g<0>`")
    assert holes.fill(second, "latex").startswith(f"`\x021-{holes.seal}\x02`")
    assert Holes().fill("\x020-\x02", "latex") == "\x020-\x02"
