"""The web page in a real browser: Debian's Chromium, driven by Playwright, with axe-core to look for barriers.

Where one of them is missing, the tests that need it are skipped, loudly.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

SIZES = {"phone": (360, 740), "desk": (1280, 900)}


@contextmanager
def browser() -> Iterator[Any]:
    """A headless browser."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: no page was looked at")
    program = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium is installed: no page was looked at")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield opened
        opened.close()


@contextmanager
def opened(browser: Any, path: Path, size: str = "desk", **options: Any) -> Iterator[Any]:
    """The page at PATH on a screen of SIZE; it fails on any complaint of the browser, and on any request but its own."""
    width, height = SIZES[size]
    context = browser.new_context(viewport={"width": width, "height": height}, **options)
    page, faults = context.new_page(), []
    page.on("console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: faults.append(str(error)))

    def let_only_itself_through(route: Any) -> None:
        if route.request.url.split("#")[0] == path.as_uri():
            route.continue_()
        else:
            faults.append(f"it asks for {route.request.url}")
            route.abort()

    page.route("**/*", let_only_itself_through)
    page.goto(path.as_uri())
    yield page
    context.close()
    assert faults == []


def barriers(page: Any) -> list[str]:
    """What axe finds against WCAG 2.1 A and AA and good practice: rule, and the first elements at fault.

    A drawing is one image with a text; its thousands of strokes are not looked at one by one.
    """
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe is not installed: barriers not looked for"
    )
    script = Path(axe.__file__).with_name("axe.min.js").read_text(encoding="utf-8")
    page.evaluate(script)  # past the page's own policy, which lets no foreign script element in
    found = page.evaluate(
        "axe.run({exclude: ['figure svg *']}, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']})"
    )
    return [f"{v['id']}: {[node['html'][:160] for node in v['nodes'][:3]]}" for v in found["violations"]]
