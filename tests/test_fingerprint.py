"""What changes a run's key, what does not, and how a change is explained."""

import ast
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from experiments import syntax
from experiments.fingerprint import Fingerprint, Fingerprinter, explain, fingerprint
from experiments.spec import ConfigurationError, Record, Run
from tests.small_repository import edit, make_record, make_repository, open_repository


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_repository(tmp_path / "root")


def take(root: Path) -> Fingerprint:
    return fingerprint(open_repository(root)[0].run("tiny-z2-s0"), root)


def change_notebook(root: Path, change: Callable[[list[dict]], object]) -> None:
    path = root / "experiments" / "fine.ipynb"
    content = json.loads(path.read_text())
    change(content["cells"])
    path.write_text(json.dumps(content))


def by_id(cells: list[dict], name: str) -> dict:
    return next(cell for cell in cells if cell["id"] == name)


def in_model(old: str, new: str) -> Callable[[Path], None]:
    return lambda root: edit(root / "method" / "model.py", old, new)


def in_notebook(change: Callable[[list[dict]], object]) -> Callable[[Path], None]:
    return lambda root: change_notebook(root, change)


def add_file(name: str, text: str) -> Callable[[Path], None]:
    return lambda root: (root / name).write_text(text) and None


add_more = add_file("method/more.py", "x = 1\n")


@pytest.mark.parametrize(
    "change",
    [
        in_model("# the method", "# another comment"),
        in_model('"""Twice the value."""', '"""Two times the value,\n\n    explained at length."""'),
        in_model("return 2 * value", "return (2  *\n            value)"),
        in_model('"""A method."""\n', ""),
        add_file("method/unused.py", "raise SystemExit"),
        in_notebook(lambda cells: by_id(cells, "compute").update(outputs=[{"text": "x"}], execution_count=4)),
        in_notebook(
            lambda cells: by_id(cells, "compute").update(source="# why\n" + "".join(by_id(cells, "compute")["source"]))
        ),
        in_notebook(lambda cells: by_id(cells, "compute").update(metadata={"tags": ["hide"]})),
        in_notebook(lambda cells: by_id(cells, "defect").update(source="Other words.")),
        in_notebook(
            lambda cells: cells.insert(2, {"cell_type": "code", "id": "new", "metadata": {}, "source": "# only words"})
        ),
        in_notebook(lambda cells: by_id(cells, "compute").update(id="renamed")),
    ],
)
def test_what_does_not_change_a_number_does_not_change_the_key(root: Path, change: Callable[[Path], None]) -> None:
    before = take(root)
    change(root)
    assert take(root).key == before.key


@pytest.mark.parametrize(
    ("change", "reasons"),
    [
        (in_model("2 * value", "3 * value"), ("method.model: double() changed",)),
        (in_model("def double(value):", "def double(value, /):"), ("method.model: double() changed",)),
        (in_model("len(CHECKSUM)", "len(CHECKSUM) + 0"), ("method.model: Model() changed",)),
        (
            in_model("class Model", "SCALE = 2\n\n\nclass Model"),
            ("method.model: a statement outside functions changed",),
        ),
        (
            in_model("class Model", "def triple(value):\n    return 3 * value\n\n\nclass Model"),
            ("method.model: triple() was added",),
        ),
        (
            lambda root: edit(root / "method" / "data.py", "abc", "abd"),
            ("method.data: a statement outside functions changed",),
        ),
        (
            lambda root: edit(root / "method" / "__init__.py", '"""The method."""', "import math"),
            ("method: a statement outside functions was added",),
        ),
        (
            in_model("from method.data import CHECKSUM", 'CHECKSUM = "abc"'),
            ("method.data is no longer imported", "method.model: a statement outside functions changed"),
        ),
        (
            in_notebook(lambda cells: by_id(cells, "compute")["source"].append("\nprint(1)")),
            ("fine.ipynb: cell compute changed",),
        ),
        (
            in_notebook(lambda cells: cells.append({"cell_type": "code", "id": "new", "metadata": {}, "source": "1"})),
            ("fine.ipynb: cell new was added",),
        ),
        (in_notebook(lambda cells: cells.reverse()), ("fine.ipynb: the order of the cells changed",)),
        (
            in_notebook(lambda cells: by_id(cells, "parameters")["source"].append("\ndepth = 3\n")),
            ("parameter depth=3 was added",),
        ),
        (
            in_notebook(lambda cells: by_id(cells, "parameters")["source"].__setitem__(2, "rate = 0.25\n")),
            ("parameter rate changed from 0.5 to 0.25",),
        ),
        (
            in_notebook(lambda cells: by_id(cells, "parameters")["source"].__setitem__(2, "")),
            ("parameter rate was removed",),
        ),
        (
            lambda root: (in_model("class Model", "from method import more\n\n\nclass Model")(root), add_more(root)),
            ("method.model: a statement outside functions changed", "method.more is imported now"),
        ),
        (
            in_model("class Model", "class Other"),
            ("method.model: Other() was added", "method.model: Model() was removed"),
        ),
    ],
)
def test_a_change_is_explained(root: Path, change: Callable[[Path], None], reasons: tuple[str, ...]) -> None:
    record = make_record(root, "tiny-z2-s0")
    assert explain(record, take(root)) == ()
    change(root)
    assert explain(Record.from_text(record.to_text(), "r.json"), take(root)) == reasons


def test_the_default_of_a_parameter_that_the_plan_sets_does_not_count(root: Path) -> None:
    before = take(root)
    change_notebook(root, lambda cells: by_id(cells, "parameters")["source"].__setitem__(0, "seed = 99\n"))
    assert take(root).key == before.key


def test_runs_with_other_parameters_have_other_keys(root: Path) -> None:
    plan, _ = open_repository(root)
    assert len({fingerprint(run, root).key for run in plan.runs.values()}) == len(plan.runs)


@pytest.mark.parametrize(
    "statement",
    [
        "from . import extra",
        "from .extra import x",
        "from method import extra",
        "import method.extra as e",
        "def late():\n    from method.extra import x",
    ],
)
def test_modules_are_followed_however_they_are_imported(root: Path, statement: str) -> None:
    (root / "method" / "extra.py").write_text("x = 1\n")
    edit(root / "method" / "data.py", "CHECKSUM", f"{statement}\n\nCHECKSUM")
    assert sorted(take(root).modules) == ["method", "method.data", "method.extra", "method.model"]


def test_modules_are_followed_through_folders_and_circles_and_beside_cells_that_are_no_python(root: Path) -> None:
    (root / "method/deep").mkdir()
    for name, text in {
        "deep/__init__": "from . import inner",
        "deep/inner": "from .. import extra\nfrom ..data import CHECKSUM\nimport method.deep.inner",
        "extra": "from method.deep import inner",
    }.items():
        (root / f"method/{name}.py").write_text(f"{text}\n")
    edit(root / "method/data.py", "CHECKSUM", "from .deep import inner\n\nCHECKSUM")
    shell = {"cell_type": "code", "id": "shell", "metadata": {}, "source": "%%bash\necho 'a b' | wc"}
    change_notebook(root, lambda cells: cells.insert(2, shell))
    assert sorted(take(root).modules) == [
        *("method", "method.data", "method.deep", "method.deep.inner", "method.extra", "method.model")
    ]


def test_the_order_in_which_parameters_are_given_does_not_count(root: Path) -> None:
    given = {"seed": 0, "size": 2}
    of, name = Fingerprinter(root).of_notebook, "fine.ipynb"
    assert of(name, given).key == of(name, dict(reversed(given.items()))).key != of(name).key


def test_the_package_that_hands_the_record_over_is_left_out(root: Path) -> None:
    (root / "experiments" / "recording.py").write_text("x = 1\n")
    assert sorted(take(root).modules) == ["method", "method.data", "method.model"]


def test_a_module_that_is_no_python_is_named(root: Path) -> None:
    edit(root / "method" / "data.py", "CHECKSUM", "CHECKSUM =")
    with pytest.raises(ConfigurationError) as caught:
        take(root)
    assert str(caught.value).startswith(f"{root}/method/data.py:1: this is no Python: invalid syntax")


ENDLESS = {
    "a NUL": "x = 1\0",
    "half a surrogate": "x = '\ud800'",
    "signs": "x = " + "-" * 20_000 + "1",
    "a sum": "x = 1" + " + 1" * 5000,
    "calls": "x" + "()" * 2000,
}


@pytest.mark.parametrize("source", ENDLESS.values(), ids=ENDLESS)
def test_code_that_python_cannot_take_in_is_refused_as_a_module_and_counts_by_its_text_in_a_cell(
    root: Path, source: str
) -> None:
    before = take(root).key
    change_notebook(root, lambda cells: by_id(cells, "compute").update(source=source))
    changed = take(root).key
    change_notebook(root, lambda cells: by_id(cells, "compute").update(source=f"{source} "))
    assert before != changed == take(root).key
    if source.isprintable():
        (root / "method" / "data.py").write_text(source)
        change_notebook(root, lambda cells: by_id(cells, "compute").update(source="import method.data"))
        with pytest.raises(ConfigurationError, match="data.py(:1)?: (this is no Python|nested too deep to be read): "):
            take(root)


def test_cells_with_one_id_are_refused_since_the_key_would_miss_one(root: Path) -> None:
    change_notebook(root, lambda cells: cells.append({**by_id(cells, "compute"), "source": "print()"}))
    with pytest.raises(ConfigurationError, match=r"fine.ipynb: cells \d and \d have the id 'compute'; give one "):
        take(root)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("%matplotlib inline\nx = 1", "%matplotlib inline\nx = 1  # one", True),
        ("%matplotlib inline\nx = 1", "%matplotlib agg\nx = 1", False),
        ("%%bash\nls", "%%bash\nls -l", False),
        ("%%bash\necho 'a b' | wc", "%%bash\necho 'a  b' | wc", False),  # no Python, however it is read
        ("%%bash\necho 'a b' | wc", "%%bash\necho 'a b' | wc\n", True),
        ("%%bash\necho 'a b' | wc", "", False),
        ("files = !ls\nx = 1", "files = !ls  \nx = 1", True),
        ("if x:\n    !ls", "if x:\n    !pwd", False),
    ],
)
def test_magics_count_as_they_are_written(one: str, other: str, same: bool) -> None:
    assert (syntax.digest_cell(one) == syntax.digest_cell(other)) is same


def test_a_definition_may_move_within_its_module() -> None:
    one, other = "def f(): pass\ndef g(): pass\n", "def g(): pass\ndef f(): pass\n"
    assert syntax.survey_module(one, "m").definitions == syntax.survey_module(other, "m").definitions


def test_equal_numbers_of_other_types_are_told_apart() -> None:
    assert syntax.spell(ast.parse("1")) != syntax.spell(ast.parse("1.0"))
    assert syntax.spell(ast.parse("True")) != syntax.spell(ast.parse("1"))


def test_the_spelling_is_the_same_under_every_version_of_python() -> None:
    """Word for word: if a version of Python spelled this otherwise, every record would go stale there."""
    source = "@d\ndef f(a: int = 1, *, b=None) -> str:\n    'doc'\n    return f'{a!r:>{b}}' if a else None"
    assert syntax.spell(ast.parse(source).body[0]) == (
        "(FunctionDef name='f' args=(arguments args=[(arg arg='a' annotation=(Name id='int')),] "
        "kwonlyargs=[(arg arg='b'),] kw_defaults=[(NoneType None),] defaults=[(int 1),]) "
        "body=[(Return value=(IfExp test=(Name id='a') body=(JoinedStr values=[(FormattedValue value=(Name id='a') "
        "conversion=114 format_spec=(JoinedStr values=[(str '>'),(FormattedValue value=(Name id='b') conversion=-1),])),]) "
        "orelse=(NoneType None))),] decorator_list=[(Name id='d'),] returns=(Name id='str'))"
    )


def test_a_field_that_another_version_adds_empty_is_skipped() -> None:
    node = ast.parse("def f(): pass").body[0]
    spelled = syntax.spell(node)
    type(node)._fields, fields = (*type(node)._fields, "new_in_some_version"), type(node)._fields
    try:
        node.new_in_some_version = []
        assert syntax.spell(node) == spelled
    finally:
        type(node)._fields = fields


def test_the_repositorys_runs_depend_on_the_method_and_on_nothing_of_ours(root: Path) -> None:
    repository = Path(__file__).parent.parent
    run: Run = next(iter(open_repository(repository)[0].runs.values()))
    modules = fingerprint(run, repository).modules
    assert {name.split(".")[0] for name in modules} == {"convmixer"}
    assert "convmixer.train" in modules
