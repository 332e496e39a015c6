"""Figures of what networks have learned and what they get wrong: filters, confusions, and how hard each test image is."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from experiments.spec import Packed, Record
from report.cells import CellEvidence
from report.evidence import Evidence
from report.original import Quoted
from report.plots.figure import Figure, Row
from report.plots.figure_rows import absent, cell_label, runs_words
from report.unknown import UnknownName

MAX_PICTURES = 64  # in a row, which is as wide as the text
TOLD = 3  # of the most frequent confusions, in words
NAMED = 5  # of the images that no network recognises, by their number
SPLIT = "test"


def filters(name: str, item: Mapping[str, Any], evidence: Evidence, original: Mapping[str, Quoted]) -> Figure:
    """A row of pictures for each array of one run: the filters of a layer, channel by channel."""
    cell = _cell(item, evidence)
    record = next((record for record in cell.records if record.arrays), None)
    if record is None:
        return absent(name, item, [cell], "filters")
    arrays = {text: _filters(record, key) for key, text in item["arrays"].items() if _is_there(key, record, evidence)}
    rows: list[Row] = []
    for text, array in arrays.items():
        steps, size = array.steps(), math.prod(array.shape[1:])
        for index in range(array.shape[0]):
            values = json.dumps(steps[index * size : (index + 1) * size].tolist())
            shape = json.dumps(list(array.shape[1:]))
            rows.append({"row": text, "channel": index + 1, "shape": shape, "scale": array.scale, "values": values})
    seed, setting = record.parameters["seed"], cell_label(cell, [*sorted(item["cell"]), "epochs"])
    note = (
        f"{item['note']} One network ({setting}; seed {seed}) and its first {len(rows) // len(arrays)} channels, none "
        "of them picked."
    )
    alt = f"Rows of small pictures, {len(rows) // len(arrays)} filters of each of {len(arrays)} layers. {_middles(arrays)}"
    return Figure(name, "filters", item["title"], note.strip(), alt.strip(), tuple(rows))


def _cell(item: Mapping[str, Any], evidence: Evidence) -> CellEvidence:
    return evidence.cells(item["group"])[0] if evidence.is_rehearsal else evidence.cell(item["group"], item["cell"])


def _is_there(key: str, record: Record, evidence: Evidence) -> bool:
    """Whether the record has the array; a rehearsal's network may be shallower than the one that is declared."""
    return key in record.arrays or not evidence.is_rehearsal


def _array(record: Record, key: str) -> Packed:
    if key not in record.arrays:
        known = ", ".join(sorted(record.arrays)) or "none"
        raise UnknownName(f"arrays: the record of {record.run} has no array {key!r}; it has {known}")
    return record.arrays[key]


def _filters(record: Record, key: str) -> Packed:
    """An array of pictures: (channels, height, width), or (channels, 1 or 3 colours, height, width)."""
    array = _array(record, key)
    is_picture = len(array.shape) == 3 or (len(array.shape) == 4 and array.shape[1] in (1, 3))
    if not is_picture or array.shape[0] > MAX_PICTURES:
        raise UnknownName(
            f"arrays: {key!r} of {record.run} has the shape {array.shape}; expected at most {MAX_PICTURES} pictures, "
            "(pictures, height, width) or with 1 or 3 colours before the height"
        )
    return array


def _middles(arrays: Mapping[str, Packed]) -> str:
    """In words, how much of each layer's energy lies in the middle of its kernels, where these have one."""
    found = []
    for text, array in arrays.items():
        if len(array.shape) == 3 and array.shape[1] % 2 and array.shape[2] % 2:
            energy = np.square(np.frombuffer(array.steps(), np.int8).reshape(array.shape).astype(float))
            middle = energy[:, array.shape[1] // 2, array.shape[2] // 2].sum() / (energy.sum() or 1)
            found.append(f"{text} {100 * middle:.1f} %")
    return f"Share of the energy in the middle of the kernels: {', '.join(found)}." if found else ""


def confusion(name: str, item: Mapping[str, Any], evidence: Evidence, original: Mapping[str, Quoted]) -> Figure:
    """A matrix: of the test images of each class, the share that is taken for each class, in the mean of the runs."""
    cell = _cell(item, evidence)
    records = [record for record in cell.records if record.arrays and record.breakdown]
    if not records:
        return absent(name, item, [cell], "the predictions")
    classes = [str(label) for label in records[0].breakdown["class"]]
    counts = sum(_count(record, item, len(classes)) for record in records) / len(records)
    images = counts.sum(axis=1)
    rows: list[Row] = [
        {"class": label, "taken for": other, "images": float(counts[i, j]), "share": float(counts[i, j] / images[i])}
        for i, label in enumerate(classes)
        for j, other in enumerate(classes)
        if images[i]
    ]
    setting = cell_label(cell, [*sorted(item["cell"]), "epochs"])
    note = f"{item['note']} Per cent of the test images of each class, mean of {runs_words(len(records))} ({setting})."
    mistakes = sorted((row for row in rows if row["class"] != row["taken for"]), key=lambda row: -float(row["share"]))
    told = "; ".join(
        f"{row['class']} for {row['taken for']} {100 * float(row['share']):.1f} %" for row in mistakes[:TOLD]
    )
    alt = f"Matrix of {len(classes)} classes by what they are taken for. Most frequent confusions: {told}."
    return Figure(name, "confusion", item["title"], note.strip(), alt, tuple(rows))


def _count(record: Record, item: Mapping[str, Any], classes: int) -> "np.ndarray[Any, Any]":
    """Images by class and by what the network took them for."""
    truth, taken = (_labels(record, item[key], classes) for key in ("truth", "predicted"))
    counts = np.zeros((classes, classes))
    np.add.at(counts, (truth, taken), 1)
    return counts


def _labels(record: Record, key: str, classes: int) -> "np.ndarray[Any, Any]":
    """A class a test image, counted from 0."""
    labels = np.frombuffer(_array(record, key).steps(), np.int8)
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
    records = list({record.run: record for cell in cells for record in cell.records}.values())
    known = [record.correct for record in records if record.correct is not None and record.correct.split == SPLIT]
    if not known:
        return absent(name, item, cells, "which images are right")
    networks, images = len(known), known[0].count
    if any(correct.count != images for correct in known):
        raise UnknownName("groups: their runs have test sets of different sizes; name groups of one data set")
    recognised = np.zeros(images, dtype=int)
    for correct in known:  # one at a time: a ledger may have thousands
        recognised += np.unpackbits(np.frombuffer(correct.packed(), np.uint8), count=images)
    found = np.bincount(recognised, minlength=networks + 1)
    expected = images * _independent([correct.ones() / images for correct in known])
    rows: list[Row] = [
        {"recognised by": count, "images": int(found[count]), "if independent": float(expected[count])}
        for count in range(networks + 1)
    ]
    never = np.flatnonzero(recognised == 0)
    words = (
        f"Of {images:,} test images, {found[-1]:,} are recognised by all {networks} networks and {found[0]:,} by none."
    )
    numbers = ", ".join(str(number) for number in never[:NAMED])
    first = f" The first of the latter, counted from 0: {numbers}." if len(never) else ""
    first += _classes_of(never, records, item["truth"])
    line = "The line is what there would be if each network erred as often as it does, but independently of the others."
    note = f"{item['note']} {words}{first} {line}"
    alt = f"Bars: test images by how many of {networks} networks recognise them, with a line for independent errors. {words}"
    return Figure(name, "hardness", item["title"], note.strip(), alt, tuple(rows), {"networks": networks})


def _classes_of(images: "np.ndarray[Any, Any]", records: Iterable[Record], truth: str) -> str:
    """Of which classes most of the images are, in words; "" where no record tells the class of an image."""
    record = next((record for record in records if truth in record.arrays and record.breakdown), None)
    if record is None or not len(images):
        return ""
    classes = record.breakdown["class"]
    labels = _labels(record, truth, len(classes))[images]
    counts = Counter(str(classes[label]) for label in labels).most_common(TOLD)
    return f" Most of them are of the class{'es' * (len(counts) > 1)} {_and([f'{name} ({count})' for name, count in counts])}."


def _and(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _independent(chances: Sequence[float]) -> "np.ndarray[Any, Any]":
    """The chance that so many of several independent events happen, from none to all (Poisson's binomial)."""
    known = np.zeros(len(chances) + 1)
    known[0] = 1.0
    for chance in chances:
        known[1:] = known[1:] * (1 - chance) + known[:-1] * chance
        known[0] *= 1 - chance
    return known
