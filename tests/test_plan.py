"""plan.yaml -> runs, and each way in which a plan is refused."""

from pathlib import Path

import pytest

from experiments.naming import Naming, drop_seed
from experiments.plan import Plan, load_plan, select
from experiments.spec import ConfigurationError
from tests.small_repository import PLAN, edit, make_repository

SIZES = "    cells: [{size: 2}, {size: 3}]\n"


@pytest.fixture
def small(tmp_path: Path) -> Plan:
    return load_plan(make_repository(tmp_path / "root") / "experiments" / "plan.yaml")


def test_a_plan_has_groups_of_runs_each_run_once(small: Plan) -> None:
    assert [run.name for run in small.group("sizes").runs] == ["tiny-z2-s0", "tiny-z2-s1", "tiny-z3-s0", "tiny-z3-s1"]
    assert [run.name for run in small.group("larger").runs] == ["tiny-z3-s0", "tiny-z4-s0"]
    assert list(small.runs) == ["tiny-z2-s0", "tiny-z2-s1", "tiny-z3-s0", "tiny-z3-s1", "tiny-z4-s0"]
    assert small.run("tiny-z3-s0").groups == ("sizes", "larger")
    assert list(dict.fromkeys(run.cell for run in small.group("sizes").runs)) == ["tiny-z2", "tiny-z3"]


def test_a_run_has_every_parameter_its_work_and_whether_it_is_its_cells_first(small: Plan) -> None:
    run = small.run("tiny-z3-s1")
    assert run.parameters == {"name": "tiny", "rate": 0.5, "seed": 1, "size": 3}
    assert (run.cell, run.notebook, run.work, run.first, run.smoke) == ("tiny-z3", "fine.ipynb", 30.0, False, False)
    assert small.run("tiny-z3-s0").first


@pytest.mark.parametrize("work", ['"size * (seed + 1)"', '{by: seed, of: {0: "size", 1: "size * 2"}}'])
def test_the_work_of_a_run_may_depend_on_its_seed(tmp_path: Path, work: str) -> None:
    text = PLAN.replace('work: "size * 10"', f"work: {work}")
    plan = load_plan(make_repository(tmp_path / "root", text) / "experiments/plan.yaml")
    works = {"tiny-z2-s0": 2.0, "tiny-z2-s1": 4.0, "tiny-z3-s0": 3.0, "tiny-z3-s1": 6.0, "tiny-z4-s0": 4.0}
    assert {run.name: run.work for run in plan.runs.values()} == works


def test_a_seed_that_the_plan_does_not_allow_is_refused_wherever_it_stands(tmp_path: Path) -> None:
    text = PLAN.replace("groups:\n", "values: {seed: [0, 2]}\ngroups:\n", 1)
    with pytest.raises(ConfigurationError, match=r"^plan.yaml: groups: sizes: seed: found 1; expected 0 or 2"):
        load_plan(make_repository(tmp_path / "root", text) / "experiments/plan.yaml")


def test_the_rehearsal_keeps_the_cells_and_forces_its_own_parameters_and_seeds(small: Plan) -> None:
    smoke = load_plan(small.path, smoke=True)
    assert list(smoke.runs) == ["smoke-z2-s0", "smoke-z3-s0"]
    assert list(smoke.groups) == ["sizes"]
    assert all(run.smoke for run in smoke.runs.values())


def test_a_rehearsal_that_names_no_groups_has_all_of_them(tmp_path: Path) -> None:
    text = PLAN.replace(", groups: [sizes]", "")
    smoke = load_plan(make_repository(tmp_path / "root", text) / "experiments" / "plan.yaml", smoke=True)
    assert list(smoke.groups) == ["sizes", "larger"]


@pytest.mark.parametrize(
    ("only", "message"),
    [
        ("{sizes: {depth: [2]}}", "no parameter 'depth'; there are name, rate, seed, size"),
        ("{sizes: {size: [5]}}", "no run has these values; name those of a cell, or leave the group out"),
    ],
)
def test_a_rehearsal_refuses_values_that_no_run_has(tmp_path: Path, only: str, message: str) -> None:
    text = PLAN.replace("groups: [sizes]", f"groups: [sizes], only: {only}")
    with pytest.raises(ConfigurationError) as caught:
        load_plan(make_repository(tmp_path / "root", text) / "experiments" / "plan.yaml", smoke=True)
    assert str(caught.value) == f"plan.yaml: smoke: only: sizes: {message}"


def test_a_rehearsal_leaves_runs_pending_that_no_group_rehearses(tmp_path: Path) -> None:
    text = PLAN.replace("groups: [sizes]", "groups: [sizes, larger], only: {sizes: {size: [2]}, larger: {size: [4]}}")
    path = make_repository(tmp_path / "root", text) / "experiments" / "plan.yaml"
    smoke = load_plan(path, smoke=True)
    assert list(smoke.runs) == ["smoke-z2-s0", "smoke-z3-s0", "smoke-z4-s0"]
    assert smoke.unrehearsed == {"smoke-z3-s0"}
    assert load_plan(path).unrehearsed == frozenset()


def test_what_a_cell_names_a_rehearsal_keeps(tmp_path: Path) -> None:
    text = PLAN.replace("parameters: {name: smoke}", "parameters: {name: smoke, size: 9, rate: 0.25}")
    smoke = load_plan(make_repository(tmp_path / "root", text) / "experiments" / "plan.yaml", smoke=True)
    assert [(run.parameters["size"], run.parameters["rate"]) for run in smoke.runs.values()] == [(2, 0.25), (3, 0.25)]


def test_a_rehearsal_has_something_instead_of_what_a_cell_names(tmp_path: Path) -> None:
    text = PLAN.replace("groups: [sizes]", "groups: [sizes], instead: {size: {3: 1}}")
    path = make_repository(tmp_path / "root", text) / "experiments" / "plan.yaml"
    assert list(load_plan(path, smoke=True).runs) == ["smoke-z2-s0", "smoke-z1-s0"]
    assert "tiny-z3-s0" in load_plan(path).runs


@pytest.mark.parametrize(
    ("instead", "message"),
    [
        ("{size: {9: 1}}", "plan.yaml: smoke: instead: no cell has size=9"),
        ("{sise: {3: 1}}", "plan.yaml: smoke: instead: no cell has sise=3"),
        (
            "{size: 1}",
            "plan.yaml: smoke: instead: size: found 1; expected what a cell's value becomes, such as {256: 16}",
        ),
    ],
)
def test_what_a_rehearsal_has_instead_is_refused_where_no_cell_has_it(
    tmp_path: Path, instead: str, message: str
) -> None:
    text = PLAN.replace("groups: [sizes]", f"groups: [sizes], instead: {instead}")
    with pytest.raises(ConfigurationError) as caught:
        load_plan(make_repository(tmp_path / "root", text) / "experiments" / "plan.yaml", smoke=True)
    assert str(caught.value) == message


@pytest.mark.parametrize("work", ["20", "{by: size, of: {2: 20, 3: 20, 4: 20}}"])
def test_work_may_be_the_same_number_for_every_run(tmp_path: Path, work: str) -> None:
    text = PLAN.replace('work: "size * 10"', f"work: {work}")
    plan = load_plan(make_repository(tmp_path / "root", text) / "experiments" / "plan.yaml")
    assert {run.work for run in plan.runs.values()} == {20.0}


@pytest.mark.parametrize("work", ['"size * 10"', '{by: seed, of: {0: "1", 1: "2"}}'])
def test_a_rehearsal_has_work_of_its_own_by_another_parameter_than_the_plan(tmp_path: Path, work: str) -> None:
    own = 'work: {by: size, of: {2: "1", 3: "2"}}'
    text = PLAN.replace('work: "size * 10"', f"work: {work}").replace("groups: [sizes]}", f"groups: [sizes], {own}}}")
    plan = load_plan(make_repository(tmp_path / "root", text) / "experiments/plan.yaml", smoke=True)
    assert {run.name: run.work for run in plan.runs.values()} == {"smoke-z2-s0": 1.0, "smoke-z3-s0": 2.0}


def test_a_run_needs_a_device_only_if_all_its_groups_do(tmp_path: Path) -> None:
    text = PLAN.replace("    grid:", "    needs: cuda\n    grid:")
    plan = load_plan(make_repository(tmp_path / "root", text) / "experiments" / "plan.yaml")
    assert {run.name: run.needs for run in plan.group("larger").runs} == {"tiny-z3-s0": None, "tiny-z4-s0": "cuda"}


@pytest.mark.parametrize(
    ("template", "cell"), [("a-{b}-s{seed}", "a-{b}"), ("s{seed}-{b}", "-{b}"), ("{a}_{seed}_{b}", "{a}_{b}")]
)
def test_a_cells_name_lacks_the_seed_and_the_text_before_it(template: str, cell: str) -> None:
    assert drop_seed(template) == cell


@pytest.mark.parametrize(
    ("parameters", "name"),
    [
        ({"share": 1.0, "wide": False}, "a-s0"),
        ({}, "a-s0"),
        ({"share": 0.25, "wide": False}, "a-f25-s0"),
        ({"share": 0.125, "wide": True}, "a-f12.5-wide-s0"),
        ({"share": 0.1, "wide": True}, "a-f10-wide-s0"),
    ],
)
def test_a_share_stands_in_a_name_in_per_cent_and_what_is_usual_does_not(
    parameters: dict[str, float | bool], name: str
) -> None:
    variants = {
        "share": {"usual": 1.0, "text": "-f{share:percent}"},
        "wide": {"usual": False, "text": "-wide"},
    }
    assert Naming("a{variant}-s{seed}", variants, "plan.yaml").name_run({**parameters, "seed": 0}) == name


def test_a_share_stands_in_per_cent_in_the_template_too() -> None:
    naming = Naming("a-f{share:percent}-s{seed}", {}, "plan.yaml")
    assert naming.name_run({"share": 0.25, "seed": 0}) == "a-f25-s0"
    assert naming.name_cell({"share": 0.25, "seed": 0}) == "a-f25"


@pytest.mark.parametrize(
    ("patterns", "group", "names"),
    [
        ((), None, ["tiny-z2-s0", "tiny-z2-s1", "tiny-z3-s0", "tiny-z3-s1", "tiny-z4-s0"]),
        ((), "larger", ["tiny-z3-s0", "tiny-z4-s0"]),
        (("*s1",), None, ["tiny-z2-s1", "tiny-z3-s1"]),
        (("tiny-z3",), None, ["tiny-z3-s0", "tiny-z3-s1"]),
        (("tiny-z4-s0", "tiny-z?-s0"), "sizes", None),
    ],
)
def test_runs_are_selected_by_patterns_of_runs_or_cells(
    small: Plan, patterns: tuple[str, ...], group: str | None, names: list[str] | None
) -> None:
    if names is None:
        with pytest.raises(ConfigurationError, match="no run in group 'sizes' matches 'tiny-z4-s0'; did you mean"):
            select(small, patterns, group)
    else:
        assert [run.name for run in select(small, patterns, group)] == names


def test_an_unknown_group_or_run_is_refused_with_the_nearest(small: Plan) -> None:
    with pytest.raises(ConfigurationError) as caught:
        select(small, (), "size")
    assert str(caught.value) == "plan.yaml: no group 'size'; did you mean 'sizes'?"
    with pytest.raises(ConfigurationError) as caught:
        small.group("xyz")
    assert str(caught.value) == "plan.yaml: no group 'xyz'; there are sizes, larger"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("version: 1", "version: 2", "plan.yaml: version: found 2; expected 1"),
        ("version: 1\n", "", "plan.yaml: the field 'version' is missing"),
        ("version: 1", "version: [", "plan.yaml: this is no YAML: "),
        (
            "version: 1",
            "version: 1\nversion: 1",
            "plan.yaml: this is no YAML: the key 'version' stands twice, again in line 2",
        ),
        (
            "version: 1",
            "version: 1\nseeds: []",
            "plan.yaml: unknown field 'seeds'; the fields are version, name, variant, work, speed, data, values, defaults, groups, smoke",
        ),
        ("-s{seed}", "", "plan.yaml: name: found '{name}-z{size}'; expected a template that holds {seed}"),
        (
            "-z{size}",
            "-z{depth}",
            (
                "plan.yaml: groups: sizes: name: '{name}-z{depth}-s{seed}' cannot be filled ('depth'); "
                "the parameters are name, rate, seed, size"
            ),
        ),
        (
            "{name: tiny}",
            "{name: a/b}",
            "plan.yaml: groups: sizes: name: 'a/b-z2-s0'; expected at most 120 letters, digits, dots, hyphens and underscores, and no device of Windows",
        ),
        (
            "version: 1",
            "version: 1\nvalues: {name: [smoke, tidy]}",
            "plan.yaml: groups: sizes: name: found 'tiny'; expected smoke or tidy, as the section 'values' has it",
        ),
        (
            "version: 1",
            "version: 1\nvalues: {size: {least: 3}}",
            "plan.yaml: groups: sizes: size: found 2; expected 3 or more, as the section 'values' has it",
        ),
        (
            "version: 1",
            "version: 1\nvalues: {sizes: {least: 3}}",
            "plan.yaml: values: no notebook has a parameter 'sizes'; did you mean 'size'?",
        ),
        (
            "version: 1",
            "version: 1\nvalues: {size: 3}",
            "plan.yaml: values: size: found 3; expected a list of the values that it may have, each text, a number, true or false, or {least: a number}",
        ),
        (
            "version: 1",
            "version: 1\nvalues: {name: [null, tiny]}",
            "plan.yaml: values: name: found [None, 'tiny']; expected a list of the values that it may have, each text, a number, true or false, or {least: a number}",
        ),
        (
            "  sizes:\n",
            "  5:\n",
            "plan.yaml: groups: 5: name: found 5; expected at most 120 letters, digits, dots, hyphens and underscores, and no device of Windows",
        ),
        ("cpu: 5", "cpu: 0", "plan.yaml: speed: cpu: found 0; expected GFLOP/s above 0"),
        ("cpu: 5", "tpu: 5", "plan.yaml: speed: tpu: found 5; expected a device class: cpu or cuda"),
        ("size * 10", "depth * 10", "plan.yaml: work: unknown name 'depth'; the parameters are name, rate, seed, size"),
        (SIZES, "", "plan.yaml: groups: sizes: expected either 'cells' or 'grid'"),
        (
            SIZES,
            f"    parameters: {{seed: 3}}\n{SIZES}",
            "plan.yaml: groups: sizes: parameters: seed: found 3; expected none; a group lists its seeds",
        ),
        (
            "smoke: {parameters: {",
            "smoke: {parameters: {seed: 3, ",
            "plan.yaml: smoke: parameters: seed: found 3; expected none; smoke lists its seeds",
        ),
        (SIZES, "    cells: []\n", "plan.yaml: groups: sizes: cells: found []; expected at least one cell"),
        (
            SIZES,
            "    cells: [{size: 2}, {size: 2}]\n",
            "plan.yaml: groups: sizes: cells: 1: found {'size': 2}; expected each cell once",
        ),
        (
            SIZES,
            "    cells: [{sizes: 2}]\n",
            "plan.yaml: groups: sizes: fine.ipynb has no parameter 'sizes'; it has seed, size, rate, name",
        ),
        (
            SIZES,
            "    cells: [{size: large}]\n",
            "plan.yaml: groups: sizes: parameter 'size' is 'large'; expected int, as in the notebook",
        ),
        (
            SIZES,
            "    cells: [{rate: 1e-3}]\n",
            (
                "plan.yaml: groups: sizes: parameter 'rate' is '1e-3'; expected float, as in the notebook (to YAML a number "
                "with a power has a point and a sign: 1.0e-3)"
            ),
        ),
        ('work: "size * 10"', 'work: "-size"', "plan.yaml: groups: sizes: work: found -2.0; expected GFLOP, 0 or more"),
        (
            SIZES,
            "    cells: [{seed: 2}]\n",
            "plan.yaml: groups: sizes: cells: seed: found 2; expected a parameter that is not also set for the group",
        ),
        (
            SIZES,
            "    cells: [{rate: 1}, {rate: 2}]\n",
            (
                "plan.yaml: groups: sizes: run 'tiny-z2-s0' has rate=2.0, but in group 'sizes' rate=1.0; "
                "put {rate} into the name"
            ),
        ),
        ("seeds: [0, 1]", "seeds: [0, 0]", "plan.yaml: groups: sizes: seeds: found [0, 0]; expected each seed once"),
        (
            "seeds: [0, 1]",
            "seeds: [true]",
            "plan.yaml: groups: sizes: seeds: found [True]; expected integers from 0, at least one",
        ),
        (
            "grid: {size: [3, 4]}",
            "grid: {size: 3}",
            "plan.yaml: groups: larger: grid: size: found 3; expected a list of values",
        ),
        (
            "grid:",
            "needs: tpu\n    grid:",
            "plan.yaml: groups: larger: needs: found 'tpu'; expected cpu or cuda",
        ),
        (
            "groups: [sizes]",
            "groups: [sizes], only: {larger: {size: [3]}}",
            "plan.yaml: smoke: only: no group 'larger'; there are sizes",
        ),
        (
            "groups: [sizes]",
            "groups: [sizes], only: {sizes: {size: 3}}",
            "plan.yaml: smoke: only: sizes: found {'size': 3}; expected a list of values for each parameter that decides",
        ),
        ("groups: [sizes]", "groups: [size]", "plan.yaml: smoke: groups: no group 'size'; did you mean 'sizes'?"),
        ("title: Two sizes", "title: 2", "plan.yaml: groups: sizes: title: found 2; expected text"),
        (
            "notebook: fine.ipynb",
            "notebook: none.ipynb",
            "none.ipynb: the notebook cannot be read: No such file or directory",
        ),
        (
            "notebook: fine.ipynb",
            "notebook: has-no-parameters.ipynb",
            "has-no-parameters.ipynb: 0 cells are tagged 'parameters'; expected one",
        ),
        ('work: "size * 10"', "work: {of: {2: size}}", "plan.yaml: work: the field 'by' is missing"),
        (
            'work: "size * 10"',
            "work: {by: size, of: {2: []}}",
            "plan.yaml: work: of: 2: found []; expected an arithmetic expression",
        ),
        (
            "{cpu: 5, cuda: 50}",
            "{}",
            "plan.yaml: speed: found {}; expected GFLOP/s of at least one device class",
        ),
        *(
            (
                "version: 1",
                f"version: 1\nvalues: {{size: {value}}}",
                (
                    f"plan.yaml: values: size: found {found}; expected a list of the values that it may have, each text, a "
                    "number, true or false, or {least: a number}"
                ),
            )
            for value, found in (("[]", "[]"), ("{least: a}", "{'least': 'a'}"))
        ),
        (
            "grid: {size: [3, 4]}",
            "grid: {size: []}",
            "plan.yaml: groups: larger: grid: size: found []; expected a list of values",
        ),
        (
            "version: 1",
            "version: 1\ndata: {x: 3}",
            (
                "plan.yaml: data: x: found 3; expected the folder of this data set below the data root, such as 'a' or "
                "'a/b'"
            ),
        ),
        (
            "parameters: {name: tiny}",
            "parameters: {3: tiny}",
            "plan.yaml: defaults: parameters: found {3: 'tiny'}; expected a mapping of parameters",
        ),
        (
            "notebook: fine.ipynb",
            "notebook: computes-a-parameter.ipynb",
            (
                "computes-a-parameter.ipynb: the cell tagged 'parameters', line 2: 'size = 1 + 1'; "
                "expected `name = value` or `name: type` with a str, int, float or bool"
            ),
        ),
    ],
)
def test_a_faulty_plan_is_refused_with_file_group_and_field(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in PLAN
    root = make_repository(tmp_path / "root", PLAN.replace(old, new, 1))
    with pytest.raises(ConfigurationError) as caught:
        load_plan(root / "experiments" / "plan.yaml")
    assert message in str(caught.value).replace(f"{root}/experiments/", "")
    if not message.endswith(": "):
        assert str(caught.value).replace(f"{root}/experiments/", "") == message


@pytest.mark.parametrize("value", ["x" + "()" * 2000, "{[1]: 2}"])
def test_a_parameter_that_is_no_plain_value_is_refused_however_it_is_written(tmp_path: Path, value: str) -> None:
    root = make_repository(tmp_path / "root")
    edit(root / "experiments/fine.ipynb", "size = 2", f"size = {value}")
    with pytest.raises(ConfigurationError, match="line 2: 'size = .*; expected `name = value` or `name: type` with a "):
        load_plan(root / "experiments" / "plan.yaml")


def test_a_plan_of_more_runs_than_a_machine_holds_is_refused_before_they_are_made(tmp_path: Path) -> None:
    seeds, sizes = list(range(200)), list(range(10, 61))
    plan = PLAN.replace("seeds: [0, 1]", f"seeds: {seeds}").replace(
        "cells: [{size: 2}, {size: 3}]", f"grid: {{size: {sizes}}}"
    )
    root = make_repository(tmp_path / "root", plan)
    assert len(load_plan(root / "experiments" / "plan.yaml").groups["sizes"].runs) == 10_200
    plan = plan.replace("seeds: [0]\nsmoke", f"seeds: {seeds}\nsmoke").replace("[3, 4]", str(sizes))
    (root / "experiments" / "plan.yaml").write_text(plan)
    with pytest.raises(ConfigurationError) as caught:
        load_plan(root / "experiments" / "plan.yaml")
    assert str(caught.value) == (
        "plan.yaml: groups: larger: 51 cells of 200 seeds; expected at most 20,000 runs in all groups"
    )


def test_a_plan_without_a_rehearsal_cannot_be_rehearsed(tmp_path: Path) -> None:
    text = "\n".join(line for line in PLAN.splitlines() if not line.startswith("smoke"))
    root = make_repository(tmp_path / "root", text)
    with pytest.raises(ConfigurationError, match="there is no section 'smoke'; write one, such as `smoke: "):
        load_plan(root / "experiments" / "plan.yaml", smoke=True)


@pytest.mark.parametrize(
    ("group", "cells"),
    [("earlier-5", [(5, 1, 5), (5, 1, 9), (5, 4, 9)]), ("earlier-40", [(40, 1, 3), (40, 2, 9)])],
)
def test_the_repositorys_plan_asks_for_what_the_earlier_report_has(
    root: Path, group: str, cells: list[tuple[int, int, int]]
) -> None:
    runs = load_plan(root / "experiments" / "plan.yaml").group(group).runs
    varied = [tuple(run.parameters[name] for name in ("epochs", "patch_size", "kernel_size")) for run in runs]
    assert varied == [cell for cell in cells for _ in range(3)]
    assert {(run.parameters["width"], run.parameters["depth"], run.parameters["recipe"]) for run in runs} == {
        (256, 8, "keras")
    }


def test_every_group_of_the_repository_says_why_it_is_run(root: Path) -> None:
    groups = load_plan(root / "experiments" / "plan.yaml").groups.values()
    assert [group.name for group in groups if not (group.question and group.budget and group.source)] == []


def test_the_repositorys_work_is_the_multiply_accumulates_of_the_method(root: Path) -> None:
    """0.889 GFLOP an image for patches of 2 and kernels of 5: 3 x 2 x 148.1 million multiply-accumulates."""
    run = load_plan(root / "experiments" / "plan.yaml").run("cifar10-authors-e25-w256-d8-p2-k5-s0")
    assert run.work == pytest.approx(25 * 50_000 * 0.8888, rel=1e-3)


def test_a_part_of_the_images_is_compared_at_equal_epochs_and_at_equal_steps(root: Path) -> None:
    runs = load_plan(root / "experiments" / "plan.yaml").group("data-and-budget").runs
    for sizes in ((8, 5), (4, 9)):
        of_size = [run for run in runs if (run.parameters["patch_size"], run.parameters["kernel_size"]) == sizes]
        varied = {(run.parameters["epochs"], run.parameters["fraction"]) for run in of_size}
        assert {fraction for epochs, fraction in varied if epochs == 20} == {0.1, 0.25, 0.5, 1.0}
        assert {fraction for epochs, fraction in varied if epochs * fraction == 5} == {0.1, 0.25, 0.5, 1.0}
        assert {epochs for epochs, fraction in varied if fraction == 1} == {5, 10, 20, 40}


def test_a_part_of_the_images_costs_its_part_and_the_evaluation(root: Path) -> None:
    plan = load_plan(root / "experiments" / "plan.yaml")
    whole, part = (plan.run(f"cifar10-keras-e20-w256-d8-p8-k5{name}-s0").work for name in ("", "-f10"))
    assert whole is not None and part == pytest.approx(whole * (4_500 + 5_000) / 50_000)


def test_the_repositorys_rehearsal_runs_on_the_embedded_data(root: Path) -> None:
    smoke = load_plan(root / "experiments" / "plan.yaml", smoke=True)
    assert {run.parameters["dataset"] for run in smoke.runs.values()} == {"digits"}
    assert {
        len([run for run in smoke.runs.values() if run.cell == cell]) for cell in {r.cell for r in smoke.runs.values()}
    } == {2}
