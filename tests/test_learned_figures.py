"""Figures of what networks have learned and get wrong: their rows follow from arrays and bits, recomputed here by hand."""

import base64
import itertools
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest

from experiments.spec import Correct, Packed
from experiments.status import RunStatus
from report.evidence import Evidence
from report.figures import build_figures
from report.plots.drawing import draw
from report.plots.figure import Figure
from report.unknown import UnknownName
from tests.made_up import make_cell, make_evidence
from tests.test_figures import declare

LABELS = [0, 0, 1, 1]
TAKEN = [[0, 1, 1, 1], [1, 1, 1, 0]]  # by two networks: of class "cat", three of four are taken for "dog"
KERNELS = np.array([[[0, 0, 0], [0, 3, 0], [0, 0, 0]], [[1, 0, 0], [0, 0, 0], [0, 0, 0]]])
TOLD = {"truth": "truth", "predicted": "taken"}
CONFUSION = {"group": "sweep", "cell": {"kernel_size": 3}, **TOLD}


def packed(values: Any, scale: float = 1.0) -> Packed:
    steps = np.array(values, dtype=np.int8)
    return Packed(steps.shape, scale, base64.b64encode(steps.tobytes()).decode())


def with_arrays(statuses: Sequence[RunStatus]) -> Evidence:
    found = []
    for status, taken in zip(statuses, TAKEN, strict=True):
        arrays = {"first": packed(KERNELS, 0.5), "truth": packed(LABELS), "taken": packed(taken)}
        record = replace(status.record, arrays=arrays, breakdown={"class": ["cat", "dog"]})
        found.append(replace(status, record=record))
    return make_evidence(*found)


def with_bits(statuses: Sequence[RunStatus], *bits: str) -> Evidence:
    """The statuses with records that were right on the images at which BITS has a 1."""
    found = []
    for status, right in zip(statuses, bits, strict=True):
        byte = int(right.ljust(8, "0"), 2).to_bytes(1, "big")
        correct = Correct("test", len(right), base64.b64encode(byte).decode())
        found.append(replace(status, record=replace(status.record, correct=correct)))
    return make_evidence(*found)


def filters(folder: Path, evidence: Evidence, **fields: Any) -> Any:
    declared = {"group": "sweep", "cell": {"kernel_size": 3}, "arrays": {"first": "block 1"}, **fields}
    return build_figures(declare(folder, "filters", **declared), evidence, {})["demo"]


def test_filters_are_those_of_the_first_run_channel_by_channel(tmp_path: Path) -> None:
    made = filters(tmp_path, with_arrays(make_cell([0.5, 0.6])))
    assert [(row["row"], row["channel"], row["scale"]) for row in made.rows] == [
        ("block 1", 1, 0.5),
        ("block 1", 2, 0.5),
    ]
    assert [json.loads(row["values"]) for row in made.rows] == KERNELS.reshape(2, 9).tolist()
    assert "seed 0" in made.note and "first 2 channels" in made.note
    assert made.alt.endswith(
        "Share of the squared weights of these that lies in the middle: block 1 90.0 %."
    )  # 9 of 10 squares


def test_filters_that_no_record_keeps_are_told_by_name_and_runs_without_any_are_no_error(tmp_path: Path) -> None:
    with pytest.raises(UnknownName) as caught:
        filters(tmp_path, with_arrays(make_cell([0.5, 0.6])), arrays={"second": "block 2"})
    assert "has no array 'second'; it has first, taken, truth" in str(caught.value)
    assert "no run has measured filters" in filters(tmp_path, make_evidence(*make_cell([0.5]))).message


@pytest.mark.parametrize(
    "values",
    [[1, 2], np.zeros((1, 2, 3, 3)), np.zeros((65, 1, 1)), np.zeros((1, 65, 1))],
    ids=["flat", "two colours", "many", "large"],
)
def test_an_array_that_is_no_row_of_pictures_is_refused(tmp_path: Path, values: Any) -> None:
    (status,) = make_cell([0.5])
    odd = replace(status, record=replace(status.record, arrays={"first": packed(values)}))
    with pytest.raises(UnknownName, match="expected at most 64 pictures"):
        filters(tmp_path, make_evidence(odd))


@pytest.mark.parametrize(
    ("truth", "found"),
    [([0, 0, 1], "3 classes from 0 to 1"), ([0, 0, 1, 2], "from 0 to 2"), ([0, 0, 1, -1], "from -1 to 1")],
)
def test_classes_that_the_record_does_not_have_are_refused(tmp_path: Path, truth: list[int], found: str) -> None:
    (status,) = make_cell([0.5])
    correct = Correct("test", 4, base64.b64encode(b"\xc0").decode())
    arrays = {"truth": packed(truth), "taken": packed(TAKEN[0])}
    record = replace(status.record, arrays=arrays, breakdown={"class": ["cat", "dog"]}, correct=correct)
    with pytest.raises(UnknownName) as caught:
        build_figures(declare(tmp_path, "confusion", **CONFUSION), make_evidence(replace(status, record=record)), {})
    assert found in str(caught.value) and "one of the 2 of its breakdown for each of 4 test images" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"arrays": {"truth": packed(LABELS, 2.0), "taken": packed(TAKEN[1])}},
            "'truth' of e5-p8-k3-s1 is in steps of 2; expected classes, which are whole numbers up to 127",
        ),
        (
            {"correct": Correct("test", 4, base64.b64encode(b"\xf0").decode())},
            "'taken' of e5-p8-k3-s1 says of 3 test images something else than its `correct`",
        ),
        (
            {"breakdown": {"class": ["dog", "cat"]}},
            (
                "cell: the breakdown of e5-p8-k3-s1 has the classes ['dog', 'cat']; expected those of e5-p8-k3-s0, each "
                "once: ['cat', 'dog']"
            ),
        ),
    ],
    ids=["rounded", "contradicts itself", "other classes"],
)
def test_predictions_that_contradict_their_record_are_refused(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    first, second = with_arrays(make_cell([0.5, 0.6])).statuses.values()
    evidence = make_evidence(first, replace(second, record=replace(second.record, **changes)))
    with pytest.raises(UnknownName) as caught:
        build_figures(declare(tmp_path, "confusion", **CONFUSION), evidence, {})
    assert str(caught.value) == f"figures.yaml: figures.demo: {message}"


def test_runs_whose_breakdown_names_no_class_have_no_confusions(tmp_path: Path) -> None:
    (status,) = make_cell([0.5])
    record = replace(status.record, arrays={"truth": packed(LABELS)}, breakdown={"test_accuracy": [0.5]})
    made = build_figures(declare(tmp_path, "confusion", **CONFUSION), make_evidence(replace(status, record=record)), {})
    assert "no run has measured which class each image is taken for" in made["demo"].message


def test_a_confusion_is_the_share_of_a_classs_images_in_the_mean_of_the_runs(tmp_path: Path) -> None:
    path = declare(tmp_path, "confusion", **CONFUSION)
    made = build_figures(path, with_arrays(make_cell([0.5, 0.6])), {})["demo"]
    shares = {(row["class"], row["taken for"]): row["share"] for row in made.rows}
    assert shares == {("cat", "cat"): 0.25, ("cat", "dog"): 0.75, ("dog", "cat"): 0.25, ("dog", "dog"): 0.75}
    assert made.alt.endswith("Most frequent confusions: cat for dog 75.0 %; dog for cat 25.0 %.")
    assert "mean of 2 runs" in made.note


def test_hardness_counts_images_by_the_networks_that_recognise_them(tmp_path: Path) -> None:
    evidence = with_bits(make_cell([0.5, 0.5, 0.75]), "1100", "1010", "1110")
    made = build_figures(declare(tmp_path, "hardness", groups=["sweep"], **TOLD), evidence, {})["demo"]
    assert [row["images"] for row in made.rows] == [1, 0, 2, 1]
    chances = (0.5, 0.5, 0.75)
    expected = [0.0] * 4
    for right in itertools.product((0, 1), repeat=3):
        expected[sum(right)] += 4 * np.prod([p if hit else 1 - p for hit, p in zip(right, chances, strict=True)])
    assert [row["if independent"] for row in made.rows] == pytest.approx(expected)
    assert made.note == (
        "A note. Networks of the group sweep. Of 4 test images all 3 networks recognise 1, and none recognises 1; if each "
        "network erred as often as it does, but independently of the others (the line), these would be fewer than one "
        "each. The first that none recognises, counted from 0: 3."
    )


def test_a_network_that_was_trained_again_counts_once_and_one_alone_is_not_compared(tmp_path: Path) -> None:
    """One group may train again what another has trained, to measure more of it: its errors are no second opinion."""
    evidence = with_bits(make_cell([0.5, 0.5, 0.75]), "1100", "1100", "1110")
    path = declare(tmp_path, "hardness", groups=["sweep"], **TOLD)
    made = build_figures(path, evidence, {})["demo"]
    assert made.options["networks"] == 2 and sum(row["if independent"] for row in made.rows) == pytest.approx(4)
    assert made.note.endswith("came out the same bit by bit, counts once (1 run less).")
    alone = with_bits(make_cell([0.5, 0.5]), "1100", "1100")
    assert "it takes two networks" in build_figures(path, alone, {})["demo"].message
    other = [replace(s, record=replace(s.record, history={"loss": [s.run.seed]})) for s in alone.statuses.values()]
    assert build_figures(path, make_evidence(*other), {})["demo"].options["networks"] == 2  # alike, not the same


def test_the_images_that_none_recognises_are_told_by_class_where_a_record_has_the_classes(tmp_path: Path) -> None:
    evidence = with_bits(make_cell([0.25, 0.3, 0.3]), "1000", "1000", "1000")
    first, second, again = evidence.statuses.values()
    record = replace(again.record, arrays={"truth": packed([0, 1, 0, 1])}, breakdown={"class": ["cat", "dog"]})
    path = declare(tmp_path, "hardness", groups=["sweep"], **TOLD)
    made = build_figures(path, make_evidence(first, second, replace(again, record=record)), {})["demo"]
    assert "counted from 0: 1, 2, 3. Most frequent among these: dog (2) and cat (1)." in made.note


def test_the_hardest_images_are_listed_with_their_class_and_their_most_frequent_wrong_answer(tmp_path: Path) -> None:
    evidence = with_bits(make_cell([0.5, 0.5, 0.5]), "1100", "1010", "1010")
    taken = ([0, 1, 2, 0], [0, 0, 0, 2], None)
    told = []
    for status, answers in zip(evidence.statuses.values(), taken, strict=True):
        arrays = {"truth": packed([0, 1, 0, 1])} | ({"taken": packed(answers)} if answers else {})
        history = {"loss": [status.run.seed]}
        record = replace(status.record, arrays=arrays, breakdown={"class": ["cat", "dog", "=ship"]}, history=history)
        told.append(replace(status, record=record))
    made = build_figures(declare(tmp_path, "hardness", groups=["sweep"], **TOLD), make_evidence(*told), {})["demo"]
    assert made.data["demo.images.csv"].splitlines() == [
        "image,class,recognised by,networks,most frequent wrong answer,given by,networks whose answers are recorded",
        "3,dog,0,3,cat or =ship,1,2",
        "1,dog,1,3,cat,1,2",
        "2,cat,2,3,'=ship,1,2",
        "0,cat,3,3,,0,2",
    ]
    unknown = with_bits(make_cell([0.5, 0.5]), "1100", "1010")
    made = build_figures(declare(tmp_path, "hardness", groups=["sweep"], **TOLD), unknown, {})["demo"]
    assert made.data["demo.images.csv"].splitlines()[1] == "3,,0,2,,,0"


def test_runs_on_different_test_sets_are_not_counted_together(tmp_path: Path) -> None:
    evidence = with_bits(make_cell([0.5, 0.5]), "1100", "101")
    with pytest.raises(UnknownName, match="different sizes"):
        build_figures(declare(tmp_path, "hardness", groups=["sweep"], **TOLD), evidence, {})


def test_a_picture_is_stored_pixel_by_pixel(tmp_path: Path) -> None:
    """What matplotlib has compressed is stored again in a way that does not depend on the version of zlib."""
    draw(filters(tmp_path, with_arrays(make_cell([0.5, 0.6]))), tmp_path)
    (coded,) = (tmp_path / "demo.svg").read_text().split("data:image/png;base64,")[1:]
    png = base64.b64decode(coded.split('"')[0])
    (tmp_path / "one.png").write_bytes(png)
    pixels = matplotlib.image.imread(tmp_path / "one.png")
    assert pixels.shape == (9, 9 + 1 + 9, 4)  # a pixel of a small picture takes three by three
    assert pixels[4, 4, :3] == pytest.approx([0.33, 0.15, 0.53], abs=0.01)  # the largest positive weight, in the middle
    assert pixels[0, 10, :3] == pytest.approx([0.97 + (b - 0.97) / 3 for b in (0.33, 0.15, 0.53)], abs=0.01)
    assert pixels[0, 0, :3] == pytest.approx([0.97] * 3, abs=0.01)  # nothing
    assert pixels[:, 9, 3].max() == 0  # between the two
    assert png[png.index(b"IDAT") + 4 :].startswith(b"\x78\x01\x01")  # one block, stored


def test_the_bars_of_very_many_networks_are_one_shape(tmp_path: Path) -> None:
    def paths(networks: int) -> int:
        rows = tuple({"recognised by": n, "images": n % 7, "if independent": 1.0} for n in range(networks + 1))
        draw(Figure("demo", "hardness", "", "", "", rows, {"networks": networks}), tmp_path)
        return (tmp_path / "demo.svg").read_text().count("<path")

    assert paths(1000) < paths(100)
