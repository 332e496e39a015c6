"""How heavy the web page of a report with N runs is, by part, and how soon it can be used in Chromium.

    python benchmarks/page.py [--records 1 5 500 5000] [--repeats 5] [--save]

Each N gets a copy of the repository with a ledger of N made-up records, as in `rebuild.py`. The page is opened on a
screen and on a phone; what counts is the time until its script has run and a frame has been drawn, the fastest of the
repeats, and of that the time that the page's own thread computed. Playwright and Chromium are needed.
"""

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.rebuild import ROOT, lay_out, load_average, machine, whole_from
from tests.pages import SIZES, browser

READY = "new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(performance.now()))))"
PARTS = {
    "list of runs": r'<figure[^>]*id="tab:runs">.*?</figure>',
    "drawings": r"<svg role=.*?</svg>",
    "data": r'<script type="application/json".*?</script>',
}


def sizes(page: str) -> dict[str, float]:
    """KiB of the whole page and of its parts."""
    parts = {name: "".join(re.findall(pattern, page, re.DOTALL)) for name, pattern in PARTS.items()}
    return {name: len(text.encode()) / 1024 for name, text in {"whole": page, **parts}.items()}


def ready(chromium: Any, path: Path, size: str) -> tuple[float, float]:
    """Milliseconds until the page can be used, and those that its thread computed."""
    width, height = SIZES[size]
    context = chromium.new_context(viewport={"width": width, "height": height})
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})
    page.goto(path.as_uri())
    passed = page.evaluate(READY)
    metrics = {item["name"]: item["value"] for item in session.send("Performance.getMetrics")["metrics"]}
    context.close()
    return passed, 1000 * metrics["TaskDuration"]


def measure(chromium: Any, folder: Path, records: int, repeats: int) -> str:
    """One line of the table."""
    lay_out(folder, records)
    subprocess.run([sys.executable, "build.py"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    path = folder / "report/out/report.html"
    heavy = sizes(path.read_text(encoding="utf-8"))
    cells = [f"{records:,}", *(f"{heavy[name]:,.0f}" for name in ("whole", *PARTS))]
    for size in SIZES:
        times = [ready(chromium, path, size) for _ in range(repeats)]
        cells += [f"{min(column):.0f} ({statistics.median(column):.0f})" for column in zip(*times, strict=True)]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=whole_from(0), nargs="+", default=[1, 5, 500, 5000])
    parser.add_argument("--repeats", type=whole_from(1), default=5)
    parser.add_argument("--save", action="store_true", help="write the table to benchmarks/results/")
    arguments = parser.parse_args()
    heads = ["runs", *(f"{name}, KiB" for name in ("page", *PARTS))]
    heads += [f"{size}, {what}" for size in SIZES for what in ("ready, ms", "computed, ms")]
    lines, before = [f"| {' | '.join(heads)} |", f"|{'--:|' * len(heads)}"], load_average()
    with browser() as chromium:
        for number in arguments.records:
            with tempfile.TemporaryDirectory(prefix="page-") as folder:
                lines.append(measure(chromium, Path(folder), number, arguments.repeats))
    day, table = datetime.now(UTC).date(), "\n".join(lines)
    about = f"{day}, {machine()}; the fastest (the median) of {arguments.repeats}. {before}"
    page = f"# The web page\n\n{about}\n\n{table}\n"
    print(page)
    if arguments.save:
        (ROOT / "benchmarks/results" / f"page-{day}.md").write_text(page)


if __name__ == "__main__":
    main()
