"""The executed notebook as it is kept under version control: small, without the data set's pictures and our paths."""

import copy
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from experiments.spec import MIME

MAX_BYTES = 64 * 1024
IMAGES_TAG = "dataset-images"  # On cells that show the data set's pictures, whose licence is not ours to give.
INJECTED_TAG = "injected-parameters"  # Papermill's, on the cell that it adds.

_TEMPORARY_FILE = re.compile(r"(?:/[\w.+-]+)*/ipykernel_\d+/\d+\.py")
_CUT = "[cut: the notebook is kept within 64 KiB; run it to see the rest]"
_NO_PICTURES = "[pictures of the data set: not kept here; run the notebook to see them]"
_NO_FIGURE = "[a figure, left out: the notebook is kept within 64 KiB; run it to see it]"


def shrink(notebook: Mapping[str, Any], folders: Mapping[str, str]) -> str:
    """The text of the file to keep, at most `MAX_BYTES` long where outputs alone can be cut.

    Args:
        notebook: the executed notebook as JSON.
        folders: absolute path -> what to write in its place; longer paths are replaced first.
    """
    kept = copy.deepcopy(dict(notebook))
    kept["metadata"] = {
        name: kept["metadata"][name] for name in ("kernelspec", "language_info") if name in kept["metadata"]
    }
    for cell in kept["cells"]:
        if INJECTED_TAG in cell["metadata"].get("tags", ()):
            cell["id"] = INJECTED_TAG  # Papermill draws a random one.
        cell["metadata"] = {"tags": cell["metadata"]["tags"]} if cell["metadata"].get("tags") else {}
        for output in cell.get("outputs", ()):
            _clean_output(output, IMAGES_TAG in cell["metadata"].get("tags", ()))
    for output in sorted(_list_figures(kept), key=_size, reverse=True):
        if len(_write(kept, folders).encode()) <= MAX_BYTES:
            break
        output["data"] = {"text/plain": _NO_FIGURE}
    for output in sorted(_list_outputs(kept), key=_size, reverse=True):
        if len(_write(kept, folders).encode()) <= MAX_BYTES:
            break
        _cut_output(output)
    return _write(kept, folders)


def _clean_output(output: dict[str, Any], has_pictures: bool) -> None:
    """Drops the record (it stands in the ledger), widgets' state, and the data set's pictures."""
    output.pop("transient", None)
    data = output.get("data")
    if data is None:
        return
    for kind in (MIME, "application/vnd.jupyter.widget-view+json"):
        data.pop(kind, None)
    if has_pictures and _has_image(data):
        output["data"] = {"text/plain": _NO_PICTURES}
    output["metadata"] = {}


def _has_image(data: Mapping[str, Any]) -> bool:
    markup = "".join(data.get("text/html", ""))
    return any(kind.startswith("image/") for kind in data) or "data:image" in markup or "<svg" in markup


def _list_outputs(notebook: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for cell in notebook["cells"]:
        yield from cell.get("outputs", ())


def _list_figures(notebook: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    return (output for output in _list_outputs(notebook) if _has_image(output.get("data", {})))


def _cut_output(output: dict[str, Any]) -> None:
    if "data" in output:
        output["data"] = {"text/plain": _CUT}
    elif "text" in output:
        output["text"] = "".join(output["text"])[:500] + f"\n{_CUT}\n"


def _size(output: Mapping[str, Any]) -> int:
    return len(json.dumps(output, ensure_ascii=False))


def _write(notebook: Mapping[str, Any], folders: Mapping[str, str]) -> str:
    return json.dumps(_shorten(notebook, folders), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _shorten(value: Any, folders: Mapping[str, str]) -> Any:
    """The same with absolute paths replaced in every text but a picture's, whose base64 may spell a path by chance."""
    if isinstance(value, str):
        for folder in sorted(folders, key=len, reverse=True):
            value = value.replace(folder, folders[folder])
        return _TEMPORARY_FILE.sub("<cell>", value)
    if isinstance(value, list):
        return [_shorten(item, folders) for item in value]
    if isinstance(value, dict):
        return {name: item if name.startswith("image/") else _shorten(item, folders) for name, item in value.items()}
    return value


def list_folders(root: Path, prefix: Path, home: Path | None) -> dict[str, str]:
    """What absolute paths an output may name, and what stands for them."""
    folders = {str(root): ".", str(prefix): "<python>"} | ({} if home is None else {str(home): "~"})
    return {folder: shown for folder, shown in folders.items() if len(Path(folder).parts) > 1}
