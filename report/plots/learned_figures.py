"""Figures of what networks have learned and what they get wrong: filters, confusions, and how hard each test image is."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from experiments.spec import Correct, Packed, Record
from report.cells import CellEvidence, has_same_curves
from report.evidence import Evidence
from report.original import Quoted
from report.plots.figure import Figure, Row
from report.plots.figure_rows import absent, cell_label, numbers_of
from report.sentences import Numbers, Sentence, counted, joined
from report.unknown import UnknownName
from report.words import listed

MAX_PICTURES = 64  # in a row, which is as wide as the text
MAX_SIDE = 64  # pixels of a picture: no more can be seen, and each takes a byte on the page
TOLD = 3  # of the most frequent confusions, in words
HARDEST = 200  # images in a list of their own
NAMED = 5  # of the images that no network recognises, by their number
SPLIT = "test"


def filters(name: str, item: Mapping[str, Any], evidence: Evidence, original: Mapping[str, Quoted]) -> Figure:
    """A row of pictures for each array of one run: the filters of a layer, channel by channel."""
    cell = _cell(item, evidence)
    record = next((record for record in cell.records if record.arrays), None)
    if record is None:
        return absent(name, item, [cell], "filters")
    arrays = {text: _filters(record, key) for key, text in item["arrays"].items() if _is_there(key, record, evidence)}
    if not arrays:
        raise UnknownName(f"arrays: names none of those that {record.run} has: {_list_arrays(record)}")
    rows: list[Row] = []
    for text, array in arrays.items():
        steps, size = array.steps(), math.prod(array.shape[1:])
        for index in range(array.shape[0]):
            values = json.dumps(steps[index * size : (index + 1) * size].tolist())
            shape = json.dumps(list(array.shape[1:]))
            rows.append({"row": text, "channel": index + 1, "shape": shape, "scale": array.scale, "values": values})
    seed, setting = record.parameters["seed"], cell_label(cell, [*sorted(item["cell"]), "epochs"])
    counts = sorted({array.shape[0] for array in arrays.values()})
    shown = " to ".join(map(str, dict.fromkeys((counts[0], counts[-1]))))
    one = f"One network ({setting}; seed {seed}) and its first {shown} channels, none of them picked."
    note = joined(" ", (item["note"], one))
    alt = f"Rows of small pictures, one for each of {', '.join(arrays)}; filters in a row: {shown}. {_middles(arrays)}"
    return Figure(name, "filters", item["title"], note, alt.strip(), tuple(rows))


def _cell(item: Mapping[str, Any], evidence: Evidence) -> CellEvidence:
    return evidence.cells(item["group"])[0] if evidence.is_rehearsal else evidence.cell(item["group"], item["cell"])


def _is_there(key: str, record: Record, evidence: Evidence) -> bool:
    """Whether the record has the array; a rehearsal's network may be shallower than the one that is declared."""
    return key in record.arrays or not evidence.is_rehearsal


def _array(record: Record, key: str) -> Packed:
    if key not in record.arrays:
        raise UnknownName(f"arrays: the record of {record.run} has no array {key!r}; it has {_list_arrays(record)}")
    return record.arrays[key]


def _list_arrays(record: Record) -> str:
    return ", ".join(sorted(record.arrays))


def _filters(record: Record, key: str) -> Packed:
    """An array of pictures: (channels, height, width), or (channels, 1 or 3 colours, height, width)."""
    array = _array(record, key)
    is_picture = len(array.shape) == 3 or (len(array.shape) == 4 and array.shape[1] in (1, 3))
    if not is_picture or array.shape[0] > MAX_PICTURES or max(array.shape[-2:]) > MAX_SIDE:
        raise UnknownName(
            f"arrays: {key!r} of {record.run} has the shape {array.shape}; expected at most {MAX_PICTURES} pictures, "
            f"(pictures, height, width) or with 1 or 3 colours before the height, of at most {MAX_SIDE} pixels a side"
        )
    return array


def _middles(arrays: Mapping[str, Packed]) -> str:
    """In words, how much of the energy of each layer's kernels, those shown, lies in their middle, where they have one."""
    found = []
    for text, array in arrays.items():
        if len(array.shape) == 3 and array.shape[1] % 2 and array.shape[2] % 2:
            energy = np.square(np.frombuffer(array.steps(), np.int8).reshape(array.shape).astype(float))
            middle = energy[:, array.shape[1] // 2, array.shape[2] // 2].sum() / (energy.sum() or 1)
            found.append(f"{text} {100 * middle:.1f} %")
    return f"Share of the squared weights of these that lies in the middle: {', '.join(found)}." if found else ""


def confusion(name: str, item: Mapping[str, Any], evidence: Evidence, original: Mapping[str, Quoted]) -> Figure:
    """A matrix: of the test images of each class, the share that is taken for each class, in the mean of the runs."""
    cell = _cell(item, evidence)
    records = [record for record in cell.records if record.arrays and _classes(record)]
    if not records:
        return absent(name, item, [cell], "which class each image is taken for")
    classes = _classes(records[0])
    for record in records:
        if _classes(record) != classes or len(set(classes)) < len(classes):
            raise UnknownName(
                f"cell: the breakdown of {record.run} has the classes {_classes(record)}; expected those of "
                f"{records[0].run}, each once: {classes}"
            )
    counts = sum(_count(record, item, len(classes)) for record in records) / len(records)
    images = counts.sum(axis=1)
    rows: list[Row] = [
        {"class": label, "taken for": other, "images": float(counts[i, j]), "share": float(counts[i, j] / images[i])}
        for i, label in enumerate(classes)
        for j, other in enumerate(classes)
        if images[i]
    ]
    setting = cell_label(cell, [*sorted(item["cell"]), "epochs"])
    looking = numbers_of(name, [cell]).count("runs", len(records), "runs that say which class each image is taken for")
    runs = Sentence("mean of ", counted(looking, "run")) if len(records) > 1 else "one run"
    shares = Sentence("Per cent of the test images of each class, ", runs, f" ({setting}).")
    note = joined(" ", (item["note"], shares))
    mistakes = sorted((row for row in rows if row["class"] != row["taken for"]), key=lambda row: -float(row["share"]))
    told = "; ".join(
        f"{row['class']} for {row['taken for']} {100 * float(row['share']):.1f} %" for row in mistakes[:TOLD]
    )
    alt = f"Matrix of {len(classes)} classes by what they are taken for. Most frequent confusions: {told}."
    return Figure(name, "confusion", item["title"], note, alt, tuple(rows))


def _count(record: Record, item: Mapping[str, Any], classes: int) -> "np.ndarray[Any, Any]":
    """Images by class and by what the network took them for."""
    truth, taken = (_labels(record, item[key], classes) for key in ("truth", "predicted"))
    if record.correct is not None and (differing := int(((truth == taken) != _bits(record.correct)).sum())):
        raise UnknownName(
            f"{item['predicted']!r} of {record.run} says of {differing:,} test images something else than its `correct`"
        )
    counts = np.zeros((classes, classes))
    np.add.at(counts, (truth, taken), 1)
    return counts


def _labels(record: Record, key: str, classes: int) -> "np.ndarray[Any, Any]":
    """A class a test image, counted from 0."""
    array = _array(record, key)
    if array.scale != 1:  # `record` gives this scale to whole numbers up to 127 alone, and rounds all others
        raise UnknownName(
            f"{key!r} of {record.run} is in steps of {array.scale:g}; expected classes, which are whole numbers up to 127"
        )
    labels = np.frombuffer(array.steps(), np.int8)
    images = len(labels) if record.correct is None else record.correct.count
    if len(labels) != images or labels.min() < 0 or labels.max() >= classes:
        raise UnknownName(
            f"{key!r} of {record.run} names {len(labels):,} classes from {labels.min()} to {labels.max()}; expected one of "
            f"the {classes} of its breakdown for each of {images:,} test images, counted from 0"
        )
    return labels


def hardness(name: str, item: Mapping[str, Any], evidence: Evidence, original: Mapping[str, Quoted]) -> Figure:
    """How many networks recognise each test image, beside what there would be if they erred independently."""
    cells = evidence.cells_of(item["groups"])
    recorded = {record.run: record for cell in cells for record in cell.records}.values()
    runs = [record for record in recorded if record.correct is not None and record.correct.split == SPLIT]
    records = _of_different_networks(runs)
    known = [record.correct for record in records if record.correct is not None]
    if not known:
        return absent(name, item, cells, "which images are right")
    networks, images = len(known), known[0].count
    if networks == 1:
        message = "Nothing to draw yet: it takes two networks to compare, and one is recorded."
        return Figure(name, item["kind"], item["title"], item["note"], message, message=message)
    if any(correct.count != images for correct in known):
        raise UnknownName("groups: their runs have test sets of different sizes; name groups of one data set")
    recognised = np.zeros(images, dtype=int)
    for correct in known:  # one at a time: a ledger may have thousands
        recognised += _bits(correct)
    found = np.bincount(recognised, minlength=networks + 1)
    expected = images * _independent([correct.ones() / images for correct in known])
    rows: list[Row] = [
        {"recognised by": count, "images": int(found[count]), "if independent": float(expected[count])}
        for count in range(networks + 1)
    ]
    never = np.flatnonzero(recognised == 0)
    numbers = Numbers(f"figure/{name}", tuple(record.run for record in records))
    different = numbers.count("networks", networks, "networks that were trained")
    all_of_them = _about(numbers, "all-if-independent", expected[-1], "images that all networks would recognise")
    none = _about(numbers, "none-if-independent", expected[0], "images that no network would recognise")
    line = Sentence(
        "Of ",
        numbers.count("images", images, "test images"),
        " test images all ",
        different,
        " networks recognise ",
        numbers.count("recognised-by-all", int(found[-1]), "test images that all networks recognise"),
        ", and none recognises ",
        numbers.count("recognised-by-none", int(found[0]), "test images that no network recognises"),
        "; if each network erred as often as it does, but independently of the others (the line), these would be ",
        Sentence(all_of_them, " each") if all_of_them == none else Sentence(all_of_them, " and ", none),
        ".",
    )
    first = ""
    if len(never):
        shown = (numbers.spelled(f"never-{i}", int(i), str(i), "a test image, counted from 0") for i in never[:NAMED])
        first = Sentence("The first that none recognises, counted from 0: ", joined(", ", shown), ".")
    frequent = _classes_of(never, runs, item["truth"], numbers)
    groups = [group for group in item["groups"] if any(cell.n for cell in evidence.cells(group))]
    which = f"Networks of the group{'s' * (len(groups) > 1)} {listed(groups)}."
    again = ""
    if same := len(runs) - networks:
        less = counted(numbers.count("same-again", same, "runs that ended with the network of another"), "run")
        told = "A network that was trained again, and came out the same bit by bit, counts once ("
        again = Sentence(told, less, " less).")
    note = joined(" ", (item["note"], which, line, first, frequent, again))
    alt = f"Bars: test images by how many of {networks} networks recognise them, with a line for independent errors. {line}"
    hardest = tuple(_hardest(recognised, records, item["truth"], item["predicted"]))
    return Figure(
        name, "hardness", item["title"], note, alt, tuple(rows), {"networks": networks}, more={"images": hardest}
    )


def _hardest(
    recognised: "np.ndarray[Any, Any]", records: Sequence[Record], truth: str, predicted: str
) -> Iterator[Row]:
    """The images that the fewest networks recognise: class and most frequent wrong answer where records tell them."""
    told = [record for record in records if truth in record.arrays and _classes(record)]
    classes = _classes(told[0]) if told else []
    labels = _labels(told[0], truth, len(classes)) if told else None
    answering = [record for record in told if predicted in record.arrays and _classes(record) == classes]
    answers = [_labels(record, predicted, len(classes)) for record in answering]
    for image in np.argsort(recognised, kind="stable")[:HARDEST]:
        label = None if labels is None else int(labels[image])
        wrong = Counter(int(answer[image]) for answer in answers if answer[image] != label)
        most = max(wrong.values(), default=0)
        yield {
            "image": int(image),
            "class": None if label is None else classes[label],
            "recognised by": int(recognised[image]),
            "networks": len(records),
            "most frequent wrong answer": " or ".join(classes[one] for one in sorted(wrong) if wrong[one] == most),
            "given by": most if answers else None,
            "networks whose answers are recorded": len(answers),
        }


def _of_different_networks(runs: list[Record]) -> list[Record]:
    """RUNS less those that ended with the network of one before: groups may train one again to measure more of it."""
    kept: dict[Correct | None, list[Record]] = {}
    for record in runs:
        alike = kept.setdefault(record.correct, [])
        if not record.history or not any(has_same_curves(one, record) for one in alike):
            alike.append(record)
    return [record for alike in kept.values() for record in alike]


def _bits(correct: Correct) -> "np.ndarray[Any, Any]":
    return np.unpackbits(np.frombuffer(correct.packed(), np.uint8), count=correct.count)


def _about(numbers: Numbers, name: str, count: float, what: str) -> Sentence:
    if count < 1:
        return Sentence("fewer than one")
    return Sentence(numbers.count(name, round(count), f"{what} if they erred independently"))


def _classes_of(images: "np.ndarray[Any, Any]", records: Iterable[Record], truth: str, numbers: Numbers) -> str:
    """Which classes are the most frequent among IMAGES, in words; "" where no record tells the class of an image."""
    record = next((record for record in records if truth in record.arrays and _classes(record)), None)
    if record is None or not len(images):
        return ""
    classes = _classes(record)
    counts = Counter(classes[label] for label in _labels(record, truth, len(classes))[images]).most_common(TOLD)
    *others, last = (
        Sentence(
            f"{name} (", numbers.count(f"none-of-{name}", count, f"images of {name} that no network recognises"), ")"
        )
        for name, count in counts
    )
    return Sentence("Most frequent among these: ", joined(" and ", (joined(", ", others), last)), ".")


def _classes(record: Record) -> list[str]:
    """The names of its breakdown's classes, in their order; none where it has no such column."""
    return [str(label) for label in (record.breakdown or {}).get("class", [])]


def _independent(chances: Sequence[float]) -> "np.ndarray[Any, Any]":
    """The chance that so many of several independent events happen, from none to all (Poisson's binomial)."""
    known = np.zeros(len(chances) + 1)
    known[0] = 1.0
    for chance in chances:
        known[1:] = known[1:] * (1 - chance) + known[:-1] * chance
        known[0] *= 1 - chance
    return known
