"""Shows the report in a browser and builds it again on every change: `python build.py serve`.

Only this machine can reach it, and of the repository it shows only the report, the records and the executed notebooks.
A build is a process of its own, so that changed code counts too; the page reloads itself when one has ended well and
says what is wrong when not.
"""

import base64
import errno
import hashlib
import html
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

from experiments.spec import ConfigurationError
from report import freshness

HOST, PORT = "127.0.0.1", 8000
PAGE = "/report/out/report.html"
CHANGES = "/changes"
POLL_SECONDS = 0.5
HEARTBEAT_SECONDS = 15.0  # so that a browser that has gone is noticed
_SHOWN = ("report/out", "experiments/records", "experiments/executed")
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
    ".svg": "image/svg+xml",
    ".pdf": "application/pdf",
    ".json": "application/json",
    ".ipynb": "application/json",
}
# No other page may frame the report, read it or be told of it.
_GUARDS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
}
# A file that a pull request brought could be a page of its own; its scripts would run with the rights of the report.
_POLICY, _NO_SCRIPT = "Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"
_RELOADER = """
new EventSource("/changes").onmessage = (event) => {
  const told = JSON.parse(event.data);
  if (told.fault === null) { if (told.number !== window.shown) location.reload(); return; }
  let note = document.getElementById("fault");
  if (!note) document.body.prepend((note = document.createElement("pre")));
  note.id = "fault";
  note.setAttribute("role", "alert");
  note.textContent = told.fault;
};
"""


class Builds:
    """The builds so far: their number, what is wrong with the last one, and word to all who wait for the next."""

    def __init__(self, build: Callable[[], str | None]) -> None:
        """BUILD makes the report and returns what is wrong, or None."""
        self._build = build
        self._changed = threading.Condition()
        self.number = 0
        self.fault: str | None = None

    def make(self) -> None:
        """Build once and tell everybody."""
        fault = self._build()
        with self._changed:
            self.number, self.fault = self.number + 1, fault
            self._changed.notify_all()

    def wait(self, number: int, seconds: float) -> bool:
        """Whether, within SECONDS, there is a build other than NUMBER."""
        with self._changed:
            return self._changed.wait_for(lambda: self.number != number, seconds)

    def watch(self, root: Path, stopped: threading.Event) -> None:
        """Build, and again whenever a file has changed that the report is made of, until STOPPED."""
        known = None
        while not stopped.is_set():
            now = freshness.list_inputs(root).lines  # a touched file too: the build sees that nothing is new
            if now != known:
                known = now  # as it was before the build: what changes meanwhile counts
                self.make()
            stopped.wait(POLL_SECONDS)


class Server(ThreadingHTTPServer):
    """The server of the report below ROOT."""

    daemon_threads = True

    def __init__(self, root: Path, port: int, builds: Builds) -> None:
        self.root, self.builds = root, builds
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            why = "is taken" if error.errno == errno.EADDRINUSE else "needs more rights than you have"
            message = f"--port: {port} {why} on {HOST}; name another, such as --port {PORT + 80}"
            raise ConfigurationError(message) from error

    @property
    def address(self) -> str:
        """What to open in a browser."""
        return f"http://{HOST}:{self.server_address[1]}/"


class _Handler(BaseHTTPRequestHandler):
    """One request: the page with its reloader, word of a new build, or a file of the report."""

    server: Server

    def do_GET(self) -> None:
        path = unquote(self.path.partition("?")[0].partition("#")[0])  # urlsplit raises at "//["
        if self.headers.get("Host", "").partition(":")[0] not in (HOST, "localhost"):  # a foreign name that leads here
            self.send_error(HTTPStatus.FORBIDDEN, "open it by the address that the command prints")
        elif path == "/":
            self.send_response(HTTPStatus.FOUND)
            self.send_header("Location", PAGE)
            self.end_headers()
        elif path == CHANGES:
            self._tell_changes()
        elif path == PAGE:
            self._send(with_reloader(self._page(), self.server.builds.number).encode(), _TYPES[".html"], {})
        else:
            self._send_file(path)

    def _page(self) -> str:
        try:
            return (self.server.root / PAGE[1:]).read_text(encoding="utf-8")
        except FileNotFoundError:
            fault = html.escape(self.server.builds.fault or "There is no report yet; it is being built.")
            return f"<!DOCTYPE html>\n<title>Report</title>\n<body>\n<pre>{fault}</pre>\n</body>"

    def _send_file(self, path: str) -> None:
        root = self.server.root.resolve()
        try:
            file = (root / path.lstrip("/")).resolve()
            # Of the resolved root, not of the folder as resolved: that one may be a link to anywhere.
            is_shown = any(file.is_relative_to(root / folder) for folder in _SHOWN) and file.is_file()
        except (OSError, ValueError):  # a name that is too long, or has a NUL in it
            is_shown = False
        if not is_shown:
            self.send_error(HTTPStatus.NOT_FOUND, "the report has no such file")
            return
        self._send(file.read_bytes(), _TYPES.get(file.suffix, "text/plain; charset=utf-8"), {_POLICY: _NO_SCRIPT})

    def _send(self, content: bytes, type: str, headers: Mapping[str, str]) -> None:
        self.send_response(HTTPStatus.OK)
        described = {"Content-Type": type, "Content-Length": str(len(content)), "Cache-Control": "no-store"}
        for name, value in (described | _GUARDS | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def _tell_changes(self) -> None:
        """An endless stream: the number and the fault of the last build, then of each further one."""
        import json

        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        builds, told = self.server.builds, -1
        try:
            while True:
                if builds.wait(told, HEARTBEAT_SECONDS):
                    told = builds.number
                    message = json.dumps({"number": told, "fault": builds.fault})
                    self.wfile.write(f"data: {message}\n\n".encode())
                else:
                    self.wfile.write(b": still here\n\n")
                self.wfile.flush()
        except (BrokenPipeError, ConnectionResetError):
            return

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing: requests are no news."""


def with_reloader(page: str, number: int) -> str:
    """PAGE, of build NUMBER, with the script that reloads it; its own policy lets that one through and no other."""
    script = f"\nwindow.shown = {number};{_RELOADER}"
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    page = page.replace("script-src ", f"connect-src 'self'; script-src 'sha256-{digest}' ", 1)
    return page.replace("</body>", f"<script>{script}</script>\n</body>")


def build_apart(root: Path) -> str | None:
    """Build the report below ROOT in a process of its own; what is wrong, or None. Its words go to the terminal."""
    command = [sys.executable, "build.py"]
    words = {"text": True, "encoding": "utf-8", "errors": "replace"}
    done = subprocess.run(command, check=False, cwd=root, stderr=subprocess.PIPE, **words)
    sys.stderr.write(done.stderr)
    return None if done.returncode == 0 else done.stderr.strip() or f"the build ended with {done.returncode}"


def serve(root: Path, port: int = PORT) -> None:
    """Show the report below ROOT on PORT of this machine until interrupted, and build it again on every change.

    Raises ConfigurationError where the port is taken.
    """
    builds, stopped = Builds(lambda: build_apart(root)), threading.Event()
    with Server(root, port, builds) as server:
        print(f"{server.address} shows the report and follows every change; Ctrl-C ends it", flush=True)
        threading.Thread(target=builds.watch, args=(root, stopped), daemon=True).start()
        try:
            server.serve_forever(poll_interval=POLL_SECONDS)
        except KeyboardInterrupt:
            print("no longer shown", flush=True)
        finally:
            stopped.set()
