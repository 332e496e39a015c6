"""The reviewer's bundle is whole, the same for the same files, and what the tools of its three formats call valid."""

import errno
import hashlib
import io
import json
import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest
import yaml

from experiments.git import GitFailed, read_commit
from experiments.spec import ConfigurationError
from report.pages.bibliography import read_entries
from report.pages.citation import citation_file, entry_of
from report.review.bundle import codecheck, members, pack, write_bundle
from report.review.crate import METADATA, crate_metadata
from tests.small_git import git
from tests.small_repository import PROVENANCE, make_record, make_repository, open_repository

PAPER = ("metadata.yaml", "references.bib", "figures.yaml", "tables.yaml")
# The validators want other versions of packages than we do, so that they have an environment of their own.
TOOLS = Path(os.environ.get("REPRODUCTION_TOOLS", Path(__file__).parent.parent / ".venv/tools")) / "bin"
needs_tools = pytest.mark.skipif(
    not (TOOLS / "cffconvert").is_file(),
    reason=f"no validators in {TOOLS}: make .venv/tools by venv and install roc-validator, rocrate, cffconvert",
)


@pytest.fixture
def repository(tmp_path: Path, root: Path) -> Path:
    """A small repository with a paper, an output of a report and two records."""
    made = make_repository(tmp_path / "root")
    (made / "report/paper").mkdir(parents=True)
    for name in PAPER:
        shutil.copyfile(root / "report/paper" / name, made / "report/paper" / name)
    out = made / "report/out"
    (out / "figures").mkdir(parents=True)
    (out / "provenance.json").write_text("{}", encoding="utf-8")
    (out / "report.pdf").write_bytes(b"%PDF")
    (out / "figures/learning-curves.pdf").write_bytes(b"%PDF")
    (made / "pyproject.toml").write_text('[project]\nname = "a"\nlicense = "MIT"\n', encoding="utf-8")
    (made / ".hidden").mkdir()
    (made / ".hidden/secret.txt").write_text("not for a bundle", encoding="utf-8")
    _, ledger = open_repository(made)
    ledger.save(make_record(made, "tiny-z2-s0"))
    ledger.save(make_record(made, "tiny-z2-s1", provenance=PROVENANCE | {"started": "2026-03-04T05:06:07Z"}))
    return made


def test_what_is_private_stays_out(repository: Path) -> None:
    """Only what git tracks, and new files where a paper's belong: a note or a key that lies about is nobody's business."""
    for name in (".env", "notes.private", "experiments/.env", "report/paper/new.md"):
        (repository / name).write_text("SECRET=1", encoding="utf-8")
    without_git = set(unpacked(write_bundle(repository).path))
    assert not {".env", "experiments/.env"} & without_git
    for arguments in (("init", "--quiet"), ("add", "experiments/plan.yaml")):
        git(repository, *arguments)
    names = set(unpacked(write_bundle(repository).path))
    assert not {".env", "experiments/.env", "notes.private", ".hidden/secret.txt"} & names
    assert {"report/paper/new.md", "experiments/records/tiny-z2-s0.json"} <= names
    assert {"method/model.py", "experiments/fine.ipynb"} <= names  # the code of a run, though git does not track it
    assert not [name for name in names if name.startswith("method/") and name.endswith(".txt")]


def test_a_repository_that_git_refuses_to_read_is_not_packed_as_if_there_were_none(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (repository / "passwords.txt").write_text("x", encoding="utf-8")
    git(repository, "init", "--quiet")
    assert "passwords.txt" not in members(repository)
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")  # as in a container that mounts a user's folder
    with pytest.raises(GitFailed, match="^git ls-files failed: fatal: .*safe.directory"):
        write_bundle(repository)
    assert not (repository / "reviewer-bundle.zip").exists()


def test_without_git_a_link_to_a_folder_is_refused_and_not_walked_through(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "private").mkdir()
    (tmp_path / "private/key.txt").write_text("x", encoding="utf-8")
    (repository / "method/keys").symlink_to(tmp_path / "private", target_is_directory=True)
    with pytest.raises(ConfigurationError, match="^method/keys: it is a link, which could lead to any file"):
        members(repository)


def test_code_behind_a_link_to_a_folder_is_not_packed(repository: Path, tmp_path: Path) -> None:
    (repository / "method").rename(tmp_path / "method")
    (repository / "method").symlink_to(tmp_path / "method", target_is_directory=True)
    for arguments in (("init", "--quiet"), ("add", "experiments")):
        git(repository, *arguments)
    with pytest.raises(ConfigurationError, match="^method: it is a link, which could lead to any file"):
        write_bundle(repository)


def unpacked(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        return {entry.filename: archive.read(entry) for entry in archive.infolist()}


def graph_of(contents: dict[str, bytes]) -> dict[str, dict]:
    return {entity["@id"]: entity for entity in json.loads(contents[METADATA])["@graph"]}


def test_a_bundle_that_cannot_be_written_leaves_no_part_of_it(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(os, "replace", refuse)
    (repository / "CITATION.cff").write_text(citation_file(repository), encoding="utf-8")
    before = sorted(repository.iterdir())
    with pytest.raises(OSError, match="no space left"):
        write_bundle(repository)
    assert sorted(repository.iterdir()) == before


def test_it_holds_records_notebooks_plan_and_paper_and_describes_every_file(repository: Path) -> None:
    bundle = write_bundle(repository)
    contents = unpacked(bundle.path)
    assert bundle.path == repository / "reviewer-bundle.zip"
    assert (bundle.files, bundle.records) == (len(contents), 2)
    wanted = {"experiments/records/tiny-z2-s0.json", "experiments/plan.yaml", "report/out/report.pdf", "CITATION.cff"}
    assert wanted | {"codecheck.yml", "method/model.py", "report/paper/metadata.yaml"} <= contents.keys()
    assert ".hidden/secret.txt" not in contents
    graph = graph_of(contents)
    described = {part["@id"] for part in graph["./"]["hasPart"]}
    assert described == contents.keys() - {METADATA}
    for name in described:
        assert graph[name]["sha256"] == hashlib.sha256(contents[name]).hexdigest()
        assert graph[name]["contentSize"] == str(len(contents[name]))


def test_each_record_is_the_result_of_a_run_with_its_times(repository: Path) -> None:
    graph = graph_of(unpacked(write_bundle(repository).path))
    assert graph["./"]["datePublished"] == "2026-03-04"
    run = graph["#run/tiny-z2-s1"]
    assert run["instrument"] == {"@id": "experiments/fine.ipynb"}
    assert run["result"] == {"@id": "experiments/records/tiny-z2-s1.json"}
    assert (run["startTime"], run["endTime"]) == ("2026-03-04T05:06:07+00:00", "2026-03-04T05:06:11+00:00")
    assert run["description"] == "fine.ipynb with name=tiny, rate=0.5, seed=1, size=2, on a CPU"


def test_the_same_files_give_the_same_bytes_whenever_and_wherever(repository: Path, tmp_path: Path) -> None:
    first = write_bundle(repository).path.read_bytes()
    copy = tmp_path / "elsewhere"
    shutil.copytree(repository, copy)
    for path in copy.rglob("*"):
        os.utime(path, (1, 1))
    assert write_bundle(copy, tmp_path / "other.zip").path.read_bytes() == first
    assert write_bundle(repository).path.read_bytes() == first  # the bundle is not packed into the next one


def test_a_bundle_of_no_runs_is_one_too(repository: Path) -> None:
    shutil.rmtree(repository / "experiments/records")
    graph = graph_of(unpacked(write_bundle(repository).path))
    assert graph["./"]["datePublished"] == "2000-01-01"
    assert "mentions" not in graph["./"]


def test_without_a_report_or_a_name_for_a_zip_it_is_refused(repository: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"is no name for the bundle; name a file that ends in \.zip"):
        write_bundle(repository, repository / "report")
    (repository / "report/out/provenance.json").unlink()
    with pytest.raises(ConfigurationError, match="there is no report to pack; run `python build.py` first"):
        write_bundle(repository)


@pytest.mark.parametrize("name", ["/etc/a", "a/../../b"])
def test_no_file_leaves_the_folder_into_which_it_is_unpacked(name: str) -> None:
    with pytest.raises(ConfigurationError, match="is no place within the bundle"):
        pack({name: b""})


def test_scripts_stay_executable_and_nothing_else_does() -> None:
    with zipfile.ZipFile(io.BytesIO(pack({"run": b"#!/bin/sh\n", "text": b"#"}))) as archive:
        modes = {entry.filename: oct(entry.external_attr >> 16) for entry in archive.infolist()}
    assert modes == {"run": "0o755", "text": "0o644"}


def test_the_codecheck_manifest_names_existing_outputs_with_their_titles(repository: Path) -> None:
    metadata = yaml.safe_load((repository / "report/paper/metadata.yaml").read_text(encoding="utf-8"))
    metadata["authors"][0]["orcid"] = "0000-0002-1825-0097"
    text = codecheck(repository, metadata)
    read = yaml.safe_load(text)
    assert text.startswith("---\n")
    assert read["version"] == "https://codecheck.org.uk/spec/config/1.0/"
    assert read["paper"]["authors"][0]["ORCID"] == "0000-0002-1825-0097"
    assert [item["file"] for item in read["manifest"]] == [
        "report/out/figures/learning-curves.pdf", "report/out/report.pdf",
    ]  # fmt: skip
    assert all(item["comment"] and (repository / item["file"]).is_file() for item in read["manifest"])


def test_the_original_work_is_cited_from_the_bibliography(repository: Path) -> None:
    read = yaml.safe_load(citation_file(repository))
    (original,) = read["references"]
    assert [author["family-names"] for author in original["authors"]] == ["Trockman", "Kolter"]
    assert original["title"] == "Patches Are All You Need?"
    assert read["license"] == "MIT"


def test_the_licence_is_what_the_paper_states_and_without_one_there_is_no_bundle(repository: Path) -> None:
    def stated() -> str | None:
        return yaml.safe_load(citation_file(repository)).get("license")

    (repository / "pyproject.toml").write_text("[project", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=r"^pyproject.toml: this is no TOML: "):
        citation_file(repository)
    (repository / "pyproject.toml").unlink()
    (repository / "LICENSE").write_text("\n                  Apache License\n    Version 2.0\n", encoding="utf-8")
    assert stated() == "Apache-2.0"
    path = repository / "report/paper/metadata.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(f"{text}\nlicense: EUPL-1.2\n", encoding="utf-8")
    assert stated() == "EUPL-1.2"
    assert graph_of(unpacked(write_bundle(repository).path))["./"]["license"]["@id"].endswith("/EUPL-1.2")
    path.write_text(f"{text}\nlicense: do what you want\n", encoding="utf-8")
    with pytest.raises(ConfigurationError) as caught:
        citation_file(repository)
    assert str(caught.value) == (
        "metadata.yaml: license: found 'do what you want'; expected the SPDX name of one licence, such as MIT"
    )
    path.write_text(text, encoding="utf-8")
    (repository / "LICENSE").write_text("Ask me.", encoding="utf-8")
    assert stated() is None
    with pytest.raises(ConfigurationError, match="metadata.yaml: license: the code has no licence; name it there"):
        write_bundle(repository)


def test_a_bundle_without_the_machinery_says_which_one_builds_its_report(repository: Path, root: Path) -> None:
    bundle = write_bundle(repository)
    text = unpacked(bundle.path)["MACHINERY.md"].decode()
    commit, _ = read_commit(root)
    url = yaml.safe_load((root / "report/paper/metadata.yaml").read_text(encoding="utf-8"))["code"][0]["url"]
    assert f"git clone {url} machinery\n" in text and f"git -C machinery checkout {commit or 'COMMIT'}\n" in text
    told = "MACHINERY.md sends the reviewer to a placeholder at example.org"
    assert (f"\nwarning: {told}" in str(bundle)) is ("example.org" in url)
    (repository / "report/review").mkdir(parents=True, exist_ok=True)
    (repository / "report/review/bundle.py").write_text("", encoding="utf-8")  # of a repository that has it
    bundle = write_bundle(repository)
    assert "MACHINERY.md" not in unpacked(bundle.path) and "warning" not in str(bundle)


def test_people_and_groups_are_told_apart(repository: Path) -> None:
    path = repository / "report/paper/metadata.yaml"
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace('orcid: ""', 'orcid: "0000-0002-1825-0097"', 1), encoding="utf-8")
    (author,) = yaml.safe_load(citation_file(repository))["authors"]
    assert author["family-names"] == "contributors"
    assert author["orcid"] == "https://orcid.org/0000-0002-1825-0097"
    path.write_text(text, encoding="utf-8")
    assert "name" in yaml.safe_load(citation_file(repository))["authors"][0]


def test_an_entry_of_the_bibliography_is_read_without_its_braces() -> None:
    text = "@misc{a,\n author = {Lee, Ann and\n   Roe, Bob},\n title = {{A {B} c}}\n}\n@misc{b,\n title = {D}\n}\n"
    assert entry_of("a", read_entries(text)) == {"author": "Lee, Ann and Roe, Bob", "title": "A B c"}
    assert entry_of("b", read_entries(text)) == {"title": "D"}
    assert entry_of("c", read_entries(text)) == {}


def test_an_entry_of_the_bibliography_may_stand_on_one_line_as_registries_print_it() -> None:
    fields = 'title={A {B}, 2nd}, volume={1}, author="{M}ay, Ann and Roe, Bob", month=jan, year={2020} }'
    expected = {"author": "May, Ann and Roe, Bob", "title": "A B, 2nd", "year": "2020"}
    assert entry_of("a", read_entries(f"@article{{a, {fields}\n@misc{{b, title={{B}}}}\n")) == expected
    assert entry_of("b", read_entries(f"@article{{a, {fields}\n@misc{{b, title={{B}}}}\n")) == {"title": "B"}


def test_an_entry_of_the_bibliography_is_read_without_the_commands_of_tex() -> None:
    text = (
        '@misc{a,\n author = {M{\\"u}ller, R\\"udiger and {\\O}y, {\\c C}a},\n title = {A: a \\& b},\n year = 2020\n}\n'
    )
    assert entry_of("a", read_entries(text)) == {
        "author": "Müller, Rüdiger and Øy, Ça",
        "title": "A: a & b",
        "year": "2020",
    }
    with pytest.raises(ConfigurationError, match="^references.bib: a: author, title or year cannot be read: "):
        entry_of("a", read_entries("@misc{a,\n title = {of $x}\n}\n"))


def test_a_crate_of_one_author_names_that_one(repository: Path) -> None:
    metadata = yaml.safe_load((repository / "report/paper/metadata.yaml").read_text(encoding="utf-8"))
    graph = json.loads(crate_metadata(metadata, {"a.md": b""}, [], "MIT"))["@graph"]
    assert graph[1]["author"] == {"@id": "#author-1"}
    assert graph[1]["hasPart"] == {"@id": "a.md"}


def test_a_file_is_named_by_a_path_that_may_stand_in_an_address(repository: Path) -> None:
    metadata = yaml.safe_load((repository / "report/paper/metadata.yaml").read_text(encoding="utf-8"))
    graph = json.loads(crate_metadata(metadata, {"notes/a b%.md": b""}, [], "MIT"))["@graph"]
    assert graph[1]["hasPart"] == {"@id": "notes/a%20b%25.md"}
    assert (graph[2]["@id"], graph[2]["name"]) == ("notes/a%20b%25.md", "notes/a b%.md")


VALIDATE = """
import json, sys
from pathlib import Path
import rocrate
from rocrate_validator.utils import document_loader
terms = json.loads((Path(rocrate.__file__).parent / "data/ro-crate.jsonld").read_text())["@context"]
document_loader._fetch_json_ld = lambda url, **_: {"@context": terms}  # there is no network here
from rocrate_validator import services
from rocrate_validator.models import Severity, ValidationSettings
settings = ValidationSettings(
    rocrate_uri=sys.argv[1], profile_identifier="process-run-crate", requirement_severity=Severity.REQUIRED
)
needs_network = {"ro-crate-1.1_3.1", "ro-crate-1.1_3.2"}  # they ask the web whether the context is there
issues = [i for i in services.validate(settings).get_issues() if i.check.identifier not in needs_network]
print(*(f"{issue.check.identifier}: {issue.message}" for issue in issues), sep="\\n")
print("validated")
"""


@needs_tools
def test_the_crate_is_valid_by_the_validator_of_ro_crate(repository: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(write_bundle(repository).path) as archive:
        archive.extractall(tmp_path / "crate")
    command = [TOOLS / "python", "-c", VALIDATE, tmp_path / "crate"]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert run.stdout.split("\n") == ["", "validated", ""], run.stdout + run.stderr


@needs_tools
def test_the_crate_opens_in_the_library_of_ro_crate(repository: Path) -> None:
    path = write_bundle(repository).path
    code = "import sys; from rocrate.rocrate import ROCrate; print(len(ROCrate(sys.argv[1]).data_entities))"
    run = subprocess.run([TOOLS / "python", "-c", code, path], capture_output=True, text=True, check=True)
    assert int(run.stdout) == len(unpacked(path)) - 1


@needs_tools
def test_the_citation_file_is_valid_by_cffconvert(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "CITATION.cff").write_text(citation_file(repository), encoding="utf-8")
    command = [TOOLS / "cffconvert", "--validate", "-i", tmp_path / "CITATION.cff"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
