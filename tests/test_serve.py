"""The served page reloads itself, follows changes, and shows nothing but the report, and that to this machine only."""

import http.client
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

import build
from experiments.spec import ConfigurationError
from report.serve import PAGE, Builds, Server, with_reloader

REPORT = """<meta content="default-src 'none'; script-src 'sha256-abc'">
<body>71.23</body>"""


@pytest.fixture
def builds() -> Builds:
    """Builds that always succeed."""
    return Builds(lambda: None)


@pytest.fixture
def server(tmp_path: Path, builds: Builds) -> Iterator[Server]:
    """A server of a folder with a report, a record and a secret."""
    for name, text in (("report/out/report.html", REPORT), ("experiments/records/a.json", "{}"), ("secret", "s")):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    with Server(tmp_path, 0, builds) as made:
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def get(server: Server, path: str, host: str | None = None) -> tuple[int, str, str]:
    """Status, type or place to go, and text of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=5)
    connection.request("GET", path, headers={"Host": host} if host else {})
    answer = connection.getresponse()
    found = answer.status, answer.headers.get("Location") or answer.headers["Content-Type"], answer.read().decode()
    connection.close()
    return found


def test_the_page_is_the_report_with_the_script_that_reloads_it(server: Server) -> None:
    assert get(server, "/")[:2] == (302, PAGE)
    assert get(server, PAGE) == (200, "text/html; charset=utf-8", with_reloader(REPORT, 0))
    assert "connect-src 'self'; script-src 'sha256-" in with_reloader(REPORT, 0)


def test_records_are_shown_and_nothing_outside_the_report(server: Server) -> None:
    assert get(server, "/experiments/records/a.json") == (200, "application/json", "{}")
    for path in ("/secret", "/report/out/../../secret", "/report/out/%2e%2e/%2e%2e/secret", "/report/out", "//secret"):
        assert get(server, path)[0] == 404


def test_a_foreign_name_that_leads_here_is_refused(server: Server) -> None:
    assert get(server, "/", "evil.example:80")[0] == 403
    assert get(server, "/", "evil.example")[0] == 403
    for host in ("localhost:8000", "localhost", "127.0.0.1"):  # at port 80 a browser names none
        assert get(server, "/", host)[0] == 302


def test_without_a_report_the_page_says_why(server: Server, builds: Builds) -> None:
    (server.root / "report/out/report.html").unlink()
    assert "There is no report yet; it is being built." in get(server, PAGE)[2]
    builds.fault = "error: <x>"
    assert "<pre>error: &lt;x&gt;</pre>" in get(server, PAGE)[2]


def test_every_build_is_told_to_the_page_with_what_is_wrong(server: Server, builds: Builds) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=5)
    connection.request("GET", "/changes")
    answer = connection.getresponse()
    assert answer.readline() == b'data: {"number": 0, "fault": null}\n'
    answer.readline()
    builds._build = lambda: "error: line 3"
    builds.make()
    assert answer.readline() == b'data: {"number": 1, "fault": "error: line 3"}\n'
    connection.close()


def test_a_change_is_followed_by_one_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("report.serve.POLL_SECONDS", 0.02)
    source = tmp_path / "templates/a.html"
    source.parent.mkdir()
    source.write_text("a")
    built, stopped = [], threading.Event()
    builds = Builds(lambda: built.append(source.read_text()))
    thread = threading.Thread(target=builds.watch, args=(tmp_path, stopped))
    thread.start()
    assert builds.wait(0, 5)
    source.write_text("other")
    assert builds.wait(1, 5)
    stopped.set()
    thread.join()
    assert built == ["a", "other"]


def test_a_port_that_is_taken_is_told(tmp_path: Path, server: Server, builds: Builds) -> None:
    port = server.server_address[1]
    with pytest.raises(ConfigurationError) as caught:
        Server(tmp_path, port, builds)
    assert str(caught.value) == f"--port: {port} is taken on 127.0.0.1; name another, such as --port 8080"


@pytest.mark.parametrize("text", ["-1", "65536", "http"])
def test_what_is_no_port_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        build.main(["serve", "--port", text])
    assert ended.value.code == 2
    assert f"{text!r} is no port; expected 0 to 65535" in capsys.readouterr().err
