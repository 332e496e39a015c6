"""A reviewer's bundle: the repository as an RO-Crate in one zip, with CITATION.cff and the manifest of a CODECHECK.

It holds the code, the plan, the claims, the records, the executed notebooks, the locks and the report, so that unpacked
it is a checkout in which `build.py` works; of a paper beside the machinery, it says which machinery that needs. The same
files give the same bytes: nothing in it tells when it was packed.
"""

import io
import os
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from experiments.files import write_atomically
from experiments.fingerprint import find_all_code
from experiments.git import read_commit, run_git
from experiments.ledger import Ledger
from experiments.plan import load_plan
from experiments.search_path import MACHINERY
from experiments.spec import ConfigurationError
from report.figures import read_figures
from report.listings.table_kinds import read_tables
from report.pages.citation import citation_file, licence_of
from report.pages.front import flat
from report.pages.journal import is_orcid, quoted
from report.pages.metadata import read_metadata
from report.review.crate import METADATA, crate_metadata
from report.words import amount

NAME = "reviewer-bundle.zip"
CITATION = "CITATION.cff"
MANIFEST = "codecheck.yml"
GUIDE = "MACHINERY.md"  # of a paper beside the machinery: which one
_OF_MACHINERY = "report/review/bundle.py"  # where this is among the files, the machinery is
_SPECIFICATION = "https://codecheck.org.uk/spec/config/1.0/"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first moment that a zip can name
_OF_A_PAPER = ("experiments", "report", "templates", "CITATION.cff")
_KNOWN_HIDDEN = frozenset({".ci", ".github", ".gitignore", ".gitattributes"})
_LEFT_OUT = frozenset({"data", "node_modules", "__pycache__"})  # where git does not say what belongs to it


@dataclass(frozen=True)
class Bundle:
    """What was packed: the file, how many files are in it, how many of them are records, its size in MiB, and a warning."""

    path: Path
    files: int
    records: int
    size_mib: float
    warning: str = ""

    def __str__(self) -> str:
        runs = amount(self.records, "record")
        told = f"{os.path.relpath(self.path)}: {self.files} files, {runs}, {self.size_mib:.1f} MiB"
        return f"{told}\nwarning: {self.warning}" if self.warning else told


def write_bundle(root: Path, path: Path | None = None) -> Bundle:
    """Pack the repository below ROOT to PATH (reviewer-bundle.zip there); writes ROOT/CITATION.cff anew if it differs.

    Raises a ReproductionError where a record is at fault, a file is missing or PATH cannot be a zip.
    """
    path = (path or root / NAME).absolute()
    if path.suffix != ".zip" or path.is_dir():
        name = os.path.relpath(path)
        raise ConfigurationError(f"--out: {name!r} is no name for the bundle; name a file that ends in .zip")
    if not (root / "report/out/provenance.json").is_file():
        raise ConfigurationError("report/out: there is no report to pack; run `python build.py` first")
    metadata = read_metadata(root / "report/paper/metadata.yaml")
    plan = load_plan(root / "experiments/plan.yaml")
    records = Ledger(root / "experiments").load(plan)
    code = find_all_code({run.notebook for run in plan.runs.values()}, root)
    _write_if_changed(root / CITATION, citation_file(root))
    contents = {name: (root / name).read_bytes() for name in members(root, code) if root / name != path}
    licence = licence_of(root)
    if licence is None:
        place = "report/paper/metadata.yaml: license"
        raise ConfigurationError(f"{place}: the code has no licence; name it there, such as MIT, or add a file LICENSE")
    contents[MANIFEST] = codecheck(root, metadata).encode()
    warning = ""
    if _OF_MACHINERY not in contents:
        contents[GUIDE] = describe_machinery().encode()
        if b"example.org" in contents[GUIDE]:
            warning = (
                f"{GUIDE} sends the reviewer to a placeholder at example.org; put the machinery's address into its "
                "own report/paper/metadata.yaml: code.url"
            )
    contents = dict(sorted(contents.items()))
    described = crate_metadata(metadata, contents, records, licence)
    packed = pack({METADATA: described.encode(), **contents})
    write_atomically(path, packed)
    return Bundle(path, len(contents) + 1, len(records), len(packed) / 2**20, warning)


def describe_machinery() -> str:
    """Where to get what `build.py` of a paper beside the machinery calls, in the very state that made the report."""
    address = flat(read_metadata(MACHINERY / "report/paper/metadata.yaml"), "code").get("url") or "ADDRESS"
    commit, dirty = read_commit(MACHINERY)
    state = f"commit `{commit}`" if commit else "a copy that is in no git repository"
    changed = ", with changes that are not committed" if dirty else ""
    return f"""# The machinery of this paper

`build.py` calls machinery that is not in this bundle: {address}, {state}{changed}. To build the report
or repeat a run, fetch it into a folder `machinery` of what was unpacked:

```sh
git clone {address} machinery
git -C machinery checkout {commit or "COMMIT"}
python3 -m venv .venv
.venv/bin/pip install -r machinery/requirements-report.lock
```

and let `MACHINERY` in `build.py` be `PAPER / "machinery"`. Then `.venv/bin/python build.py` makes `report/out/` again.
To repeat runs, install `machinery/requirements.lock` instead.
"""


def members(root: Path, code: Iterable[Path] = ()) -> list[str]:
    """The files of the repository: those that git tracks, and new ones where a paper's files belong, or that are CODE of a run.

    Without git all but what is hidden. What else lies about may be private, and is left out.
    """
    tracked = run_git(root, "ls-files", "-z", "--cached", ".")
    if tracked is not None:
        new = run_git(root, "ls-files", "-z", "--others", "--exclude-standard", *_OF_A_PAPER) or ""
        names = {name for name in tracked.split("\0") if name}
        names |= {name for name in new.split("\0") if name and not _is_hidden(name)}
        names |= {path.relative_to(root).as_posix() for path in code}
    else:
        names = set(_walk(root, root))
    for name in sorted(names):
        place = PurePosixPath(name)
        link = next((one for one in (place, *place.parents[:-1]) if (root / one).is_symlink()), None)
        if link is not None:
            raise ConfigurationError(f"{link}: it is a link, which could lead to any file of this machine; remove it")
    return sorted(name for name in names if (root / name).is_file() and name not in (METADATA, MANIFEST, GUIDE, NAME))


def _is_hidden(name: str) -> bool:
    """Whether a file is hidden, as those with secrets are."""
    return any(part.startswith(".") for part in name.split("/"))


def _walk(folder: Path, root: Path) -> Iterator[str]:
    for path in folder.iterdir():
        if path.name in _LEFT_OUT or (path.name.startswith(".") and path.name not in _KNOWN_HIDDEN):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _walk(path, root)
        elif path.suffix != ".pyc":
            yield path.relative_to(root).as_posix()


def codecheck(root: Path, metadata: Mapping[str, Any]) -> str:
    """The manifest of a CODECHECK: the paper, and which files a codechecker is to make again and compare.

    Who checked, when and with what certificate is the codechecker's to add.
    """
    article, review, code = (flat(metadata, field).get("url", "") for field in ("article", "review", "code"))
    lines = ["---", f"version: {_SPECIFICATION}", "paper:", f"  title: {quoted(metadata['title'])}", "  authors:"]
    for author in metadata["authors"]:
        lines.append(f"    - name: {quoted(' '.join(author['name'].split()))}")
        lines += [f"      ORCID: {author['orcid']}"] if is_orcid(str(author.get("orcid") or "")) else []
    lines += [f"  reference: {quoted(article or review or code)}", "manifest:"]
    for file, comment in _manifest(root):
        lines += [f"  - file: {file}", f"    comment: {quoted(comment)}"]
    if code:
        lines.append(f"repository: {quoted(code)}")
    return "\n".join(lines) + "\n"


def _manifest(root: Path) -> Iterator[tuple[str, str]]:
    """Each figure and table of the report with its title, then the report: all that `build.py` makes of the records."""
    declared = {
        "figures": {name: item["title"] for name, item in read_figures(root / "report/paper/figures.yaml").items()},
        "tables": {name: table.title for name, table in read_tables(root).items()},
    }
    for folder, titles in declared.items():
        for name, title in titles.items():
            for suffix in ("pdf", "csv"):
                file = f"report/out/{folder}/{name}.{suffix}"
                if (root / file).is_file():
                    yield file, title
    yield "report/out/report.pdf", "the report, which `python build.py` makes from the records"


def pack(contents: Mapping[str, bytes]) -> bytes:
    """A zip of CONTENTS in their order, with one time and one mode for all: equal contents give equal bytes.

    What a file may do stays with it only as far as that a script (`#!`) can be started.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in contents.items():
            if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
                raise ConfigurationError(f"{name!r} is no place within the bundle")
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = 3  # Unix, also where it is packed elsewhere
            entry.external_attr = (0o755 if content.startswith(b"#!") else 0o644) << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED, 9)
    return buffer.getvalue()


def _write_if_changed(path: Path, text: str) -> None:
    if not path.is_file() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
