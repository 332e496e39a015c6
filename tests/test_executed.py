"""The executed notebook that is kept: within its size, without the data set's pictures and our paths."""

import json
from pathlib import Path
from typing import Any

from experiments import executed
from experiments.spec import MIME


def make_notebook(*outputs: dict[str, Any], tags: tuple[str, ...] = ()) -> dict[str, Any]:
    cell = {
        "cell_type": "code",
        "id": "a",
        "execution_count": 1,
        "metadata": {"tags": list(tags), "papermill": {"duration": 1.5}, "execution": {}},
        "source": "x",
        "outputs": list(outputs),
    }
    metadata = {"kernelspec": {"name": "python3"}, "papermill": {"input_path": "/home/somebody/x"}, "widgets": {}}
    return {"cells": [cell], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}


def make_figure(size: int) -> dict[str, Any]:
    return {"output_type": "display_data", "metadata": {}, "data": {"image/png": "A" * size, "text/plain": "a figure"}}


def shrink(notebook: dict[str, Any]) -> dict[str, Any]:
    text = executed.shrink(notebook, {})
    assert len(text.encode()) <= executed.MAX_BYTES
    return json.loads(text)


def read_kinds(notebook: dict[str, Any]) -> list[list[str]]:
    return [sorted(output["data"]) for output in notebook["cells"][0]["outputs"]]


def test_metadata_of_the_execution_is_dropped() -> None:
    kept = shrink(make_notebook(tags=("mine",)))
    assert kept["metadata"] == {"kernelspec": {"name": "python3"}}
    assert kept["cells"][0]["metadata"] == {"tags": ["mine"]}


def test_the_record_is_dropped_for_it_stands_in_the_ledger() -> None:
    output = {"output_type": "display_data", "metadata": {}, "data": {MIME: {}, "text/plain": "a table"}}
    assert read_kinds(shrink(make_notebook(output))) == [["text/plain"]]


def test_pictures_of_the_data_set_are_dropped_and_other_outputs_of_the_cell_kept() -> None:
    text = {"output_type": "stream", "name": "stdout", "text": ["ten classes\n"]}
    html = {
        "output_type": "display_data",
        "metadata": {},
        "data": {"text/html": "<img src='data:image/png;base64,AA'>"},
    }
    kept = shrink(make_notebook(make_figure(10), text, html, tags=(executed.IMAGES_TAG,)))
    outputs = kept["cells"][0]["outputs"]
    assert [list(output.get("data", {"text": 0})) for output in outputs] == [["text/plain"], ["text"], ["text/plain"]]
    assert "pictures of the data set" in outputs[0]["data"]["text/plain"]


def test_the_largest_figures_go_first_until_the_rest_fits() -> None:
    kept = shrink(make_notebook(make_figure(30_000), make_figure(40_000), make_figure(20_000)))
    assert read_kinds(kept) == [["image/png", "text/plain"], ["text/plain"], ["image/png", "text/plain"]]


def test_long_texts_are_cut_when_figures_are_not_enough() -> None:
    long = {"output_type": "stream", "name": "stdout", "text": ["x" * 100_000]}
    kept = shrink(make_notebook(long, make_figure(10)))
    assert kept["cells"][0]["outputs"][0]["text"].endswith(
        "[cut: the notebook is kept within 64 KiB; run it to see the rest]\n"
    )
    assert "left out" in kept["cells"][0]["outputs"][1]["data"]["text/plain"]


def test_absolute_paths_are_replaced_the_longest_first() -> None:
    text = "/home/me/paper/data /home/me/.venv/lib /home/me/x /tmp/ipykernel_123/456.py:3: UserWarning"
    notebook = make_notebook({"output_type": "stream", "name": "stderr", "text": text})
    folders = executed.list_folders(Path("/home/me/paper"), Path("/home/me/.venv"), Path("/home/me"))
    kept = json.loads(executed.shrink(notebook, folders))
    assert kept["cells"][0]["outputs"][0]["text"] == "./data <python>/lib ~/x <cell>:3: UserWarning"


def test_the_root_folder_is_no_path_to_hide() -> None:
    assert executed.list_folders(Path("/"), Path("/usr"), Path("/")) == {"/usr": "<python>"}


def test_the_notebook_given_is_not_changed() -> None:
    notebook = make_notebook(make_figure(100_000))
    before = json.dumps(notebook)
    executed.shrink(notebook, {})
    assert json.dumps(notebook) == before


def test_a_path_is_replaced_in_text_and_not_in_a_picture_that_spells_it_by_chance() -> None:
    output = {
        "output_type": "display_data",
        "metadata": {},
        "data": {"image/png": "AA/app+A", "text/plain": "/app/x.py"},
    }
    kept = json.loads(executed.shrink(make_notebook(output), {"/app": "."}))
    assert kept["cells"][0]["outputs"][0]["data"] == {"image/png": "AA/app+A", "text/plain": "./x.py"}
