"""The commands on a hostile checkout: one message and an exit code, nothing run, read, written or served elsewhere."""

import http.client
import io
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments.spec import ReproductionError
from report import freshness
from report.pages import pdf
from report.serve import Builds, Server

SHOWN = "<p>shown</p>"


@pytest.fixture
def checkout(tmp_path: Path, root: Path) -> Path:
    """What a build reads of this repository, without its records."""
    place = tmp_path / "checkout"
    ignored = shutil.ignore_patterns("__pycache__", "out", "records", "executed", "*.jsonl")
    for name in ("report", "experiments", "convmixer"):
        shutil.copytree(root / name, place / name, ignore=ignored)
    shutil.copyfile(root / "build.py", place / "build.py")
    (place / "templates").symlink_to(root / "templates")
    return place


def build(checkout: Path, *arguments: str) -> tuple[int, str]:
    """Exit code and what is said."""
    command = [sys.executable, "build.py", *arguments]
    done = subprocess.run(command, cwd=checkout, capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stderr


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


HOSTILE = [
    (
        "report/paper/sections/10-introduction.md",
        "# ",
        "<% if smoke.__class__ %>a<% endif %>\n\n# ",
        "access to attribute '__class__'",
    ),
    (
        "report/paper/figures.yaml",
        "  architecture:",
        "  ../../../escaped:",
        "the name: found '../../../escaped'; expected",
    ),
    (
        "report/paper/tables.yaml",
        "tables:\n",
        "tables:\n  /tmp/escaped: {kind: runs}\n",
        "the name: found '/tmp/escaped'",
    ),
    (
        "experiments/plan.yaml",
        "notebook: train.ipynb",
        "notebook: ../../evil.ipynb",
        "notebook: found '../../evil.ipynb'",
    ),
    ("report/paper/metadata.yaml", 'swh: ""', r"swh: '\input{/etc/passwd}'", "code[3].swh: found"),
    ("report/paper/references.bib", "title = {", r"title = {\input{/etc/passwd} ", r"found the command '\\input'"),
    ("report/paper/claims.yaml", "version: 1", "version: !!python/object/apply:os.system [id]", "found the tag"),
]


@pytest.mark.parametrize(("file", "old", "new", "message"), HOSTILE, ids=[Path(item[0]).name for item in HOSTILE])
def test_a_hostile_file_ends_the_build_with_one_message(
    checkout: Path, file: str, old: str, new: str, message: str
) -> None:
    change(checkout / file, old, new)
    before = sorted(checkout.parent.rglob("*escaped*"))
    code, said = build(checkout)
    assert code == 2, said
    assert said.startswith("error: ")
    assert message in said
    assert "Traceback" not in said
    assert Path(file).name in said
    assert not (checkout / "report/out").exists()
    assert sorted(checkout.parent.rglob("*escaped*")) == before


def test_links_that_lead_to_themselves_or_to_a_device_end_quickly(checkout: Path) -> None:
    for name, target in (("a", "."), ("b", "."), ("zero.md", "/dev/zero")):
        (checkout / "report/paper" / name).symlink_to(target)
    assert not any("report/paper/a/" in line for line in freshness.list_inputs(checkout).lines)
    code, said = build(checkout)
    assert code == 2
    assert said.startswith("error: paper/")
    assert said.endswith(": it is a link; expected the file or folder itself\n")


@pytest.mark.skipif(shutil.which("xelatex") is None or shutil.which("latexmk") is None, reason="TeX is not installed")
class TestTex:
    """What TeX may do while it sets a report; the same holds whatever the machine's own settings are."""

    def typeset(self, folder: Path, body: str) -> bytes:
        (folder / "report.tex").write_text(rf"\documentclass{{article}}\begin{{document}}a {body}\end{{document}}")
        return pdf.pdf_by_latexmk(folder)

    def test_it_starts_no_program(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("shell_escape", "t")  # as a careless texmf.cnf has it
        self.typeset(tmp_path, rf"\immediate\write18{{touch {tmp_path}/ran}}")
        assert not (tmp_path / "ran").exists()

    def test_it_reads_no_file_elsewhere(self, tmp_path: Path) -> None:
        import pypdf

        secret = tmp_path / "secret.tex"
        secret.write_text("the secret")
        folder = tmp_path / "in"
        folder.mkdir()
        (folder / "own.tex").write_text("our own")
        made = self.typeset(folder, rf"\InputIfFileExists{{{secret}}}{{}}{{unseen}} \input{{own}}")
        text = pypdf.PdfReader(io.BytesIO(made)).pages[0].extract_text()
        assert "unseen" in text
        assert "our own" in text
        assert "the secret" not in text

    def test_it_writes_no_file_elsewhere(self, tmp_path: Path) -> None:
        folder = tmp_path / "in"
        folder.mkdir()
        with pytest.raises(ReproductionError, match="I can't write on file"):
            self.typeset(folder, rf"\newwrite\w\immediate\openout\w={tmp_path}/written.tex")
        assert not (tmp_path / "written.tex").exists()

    def test_it_runs_no_latexmkrc(self, tmp_path: Path) -> None:
        (tmp_path / "latexmkrc").write_text(f"system('touch {tmp_path}/ran');")
        self.typeset(tmp_path, "b")
        assert not (tmp_path / "ran").exists()


def test_the_embedded_typesetter_reads_no_file_above_its_folder(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("the secret")
    (tmp_path / "in").mkdir()
    source = tmp_path / "in/report.typ"
    for path in ("../secret.txt", "/../secret.txt", "/etc/passwd"):
        source.write_text(f'#read("{path}")')
        with pytest.raises(ReproductionError, match="typst refuses report.typ: "):
            pdf.pdf_by_typst(source)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A server of a report whose folders a pull request has filled, beside a secret."""
    root = tmp_path / "root"
    for name in ("report/out/report.html", "report/out/other.html"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(SHOWN)
    (tmp_path / "secret.json").write_text("secret")
    (root / "secret.json").write_text("secret")
    (root / "experiments").mkdir()
    (root / "experiments/records").symlink_to(tmp_path)
    (root / "report/out/link.json").symlink_to(tmp_path / "secret.json")
    (root / "report/outside").mkdir()
    (root / "report/outside/a.json").write_text("secret")
    with Server(root, 0, Builds(lambda: None)) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def ask(server: Server, path: str, method: str = "GET", host: str = "localhost:80") -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=5)
    connection.putrequest(method, path, skip_host=True)
    if host:
        connection.putheader("Host", host)
    connection.endheaders()
    answer = connection.getresponse()
    answer.body = answer.read().decode()
    connection.close()
    return answer


@pytest.mark.parametrize(
    "path",
    [
        "/experiments/records/secret.json",  # the folder is a link
        "/report/out/link.json",
        "/report/outside/a.json",
        "/report/out/../../secret.json",
        "/report/out/..%2f..%2fsecret.json",
        "/report/out/%2e%2e/%2e%2e/secret.json",
        "/report/out//../../secret.json",
        "//secret.json",
        "/report/out/%00",
        "/report/out/" + "a" * 5000,
        "//[",
        "/../root/secret.json",
    ],
)
def test_the_server_shows_no_file_elsewhere(server: Server, path: str) -> None:
    assert ask(server, path).status == 404


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "localhost.evil.example:80", "127.0.0.1.evil:80", "", "0.0.0.0:80"]
)
@pytest.mark.parametrize("path", ["/", "/changes", "/report/out/report.html", "/report/out/other.html"])
def test_a_page_under_another_name_is_told_nothing(server: Server, host: str, path: str) -> None:
    answer = ask(server, path, host=host)
    assert answer.status == 403
    assert SHOWN not in answer.body


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT"])
def test_the_server_only_shows(server: Server, method: str) -> None:
    assert ask(server, "/report/out/report.html", method).status == 501


def test_no_other_page_can_frame_or_read_what_is_served_and_other_files_run_no_script(server: Server) -> None:
    page, other = ask(server, "/report/out/report.html"), ask(server, "/report/out/other.html")
    for answer in (page, other):
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Access-Control-Allow-Origin" not in answer.headers
    assert other.headers["Content-Security-Policy"].startswith("default-src 'none';")
    assert other.headers["Content-Security-Policy"].endswith("; sandbox")
    assert other.body == SHOWN


def test_only_this_machine_reaches_the_server(server: Server) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert os.path.isdir(server.root)
