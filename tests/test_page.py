"""The web page in a real browser: readable on every screen, usable by keyboard, and it tells where numbers come from."""

import io
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from experiments.status import RunStatus
from report.pages.compose import Composer
from report.pages.drawings import begin_drawing
from report.pages.origins import Origins
from report.pages.page import CURVE_POINTS, FEW_POINTS, page_data, sampled
from report.plots.drawing import Studio
from report.quantities import MOST_ORIGINS
from report.render import build_report
from report.tables import Column, Table
from tests.made_up import make_record, make_run, measured, waiting
from tests.pages import SIZES, barriers, browser, opened
from tests.small_paper import PROSE, accuracy, context, figures, make_paper, pending, table

RUNS = (measured(make_run(0), 0.71), measured(make_run(1), 0.69), waiting(make_run(2)))
CELL = RUNS[0].run.cell
MANY = tuple(measured(make_run(seed), 0.7) for seed in range(450))  # more than the page equips at one go
BYTES_A_RUN = 300  # of a short name, with its row and its curve


def run_table(statuses: Sequence[RunStatus]) -> Table:
    """A list of runs as the report has it."""
    from report.facts import run_accuracy

    columns = (Column("run", "Run"), Column("state", "State"), Column("accuracy", "Accuracy", "%", "right"))
    rows = tuple(
        (status.run.name, status.state.value, run_accuracy(status.record) if status.record else "–")
        for status in statuses
    )
    return Table("runs", "Every run.", "", columns, rows)


def compose_with_runs(folder: Path, root: Path, text: str = "plain", statuses: Sequence[RunStatus] = RUNS) -> Path:
    """The page of the small paper, with a list of runs and numbers that stand for its cell."""
    paper, out = (
        make_paper(folder / "paper", root, {**PROSE, "91-runs.md": '# All {.appendix}\n\n<< table("runs") >>\n'}),
        folder / "out",
    )
    for name in ("figures", "tables"):
        (out / name).mkdir(parents=True)
    records = tuple(status.record for status in statuses if status.record)
    evidence = SimpleNamespace(recorded=lambda: records, runs=lambda: statuses)
    ours = replace(accuracy(), id=f"sweep/{CELL}/test_accuracy", origin=tuple(record.run for record in records))
    words = {**context(text).words, "ours": ours}
    tables = {"demo": table(text), "runs": run_table(statuses)}
    drawn = figures(text)
    with Studio() as studio:
        files = begin_drawing(drawn.values(), out / "figures", studio, folder / "cache")
        made = context(text, evidence=evidence, words=words, tables=tables)
        Composer(paper, made, drawn, out).write(("html",), "typst", files)
    return out / "report.html"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """One browser for all tests of this file."""
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """The page of the small paper."""
    return compose_with_runs(tmp_path_factory.mktemp("small"), root)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, root: Path) -> Path:
    """The page of the repository's own report."""
    folder = tmp_path_factory.mktemp("whole")
    return build_report(root, out=folder / "out", formats=["html"], cache=folder / "cache").out / "report.html"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_nobody_meets_a_barrier(chromium: Any, small: Path, size: str, scheme: str) -> None:
    with opened(chromium, small, size, color_scheme=scheme) as page:
        page.locator("table[data-runs] input").first.check()
        page.locator("main p a.q").first.click()
        assert barriers(page) == []


@pytest.mark.parametrize(("size", "scheme"), [("phone", "light"), ("desk", "dark")])
def test_nobody_meets_a_barrier_in_the_whole_report(chromium: Any, whole: Path, size: str, scheme: str) -> None:
    with opened(chromium, whole, size, color_scheme=scheme) as page:
        assert barriers(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("anchor", ["sec:runs", "tab:origins"])
def test_a_link_leads_to_its_place_though_what_is_far_away_has_not_been_laid_out(
    chromium: Any, whole: Path, size: str, anchor: str
) -> None:
    with opened(chromium, whole, size) as page:
        page.evaluate(f"location.hash = '{anchor}'")
        page.wait_for_timeout(500)
        assert 0 <= page.locator(f'[id="{anchor}"]').bounding_box()["y"] < 100


def test_on_a_phone_no_heading_that_wraps_leaves_the_rest_of_a_line_empty(chromium: Any, whole: Path) -> None:
    with opened(chromium, whole, "phone") as page:
        below = "h => h.nextElementSibling.getBoundingClientRect().top >= h.getBoundingClientRect().bottom"
        assert page.evaluate(f"[...document.querySelectorAll('h4')].every({below})")


def test_the_number_in_a_caption_tells_where_it_comes_from(chromium: Any, whole: Path) -> None:
    with opened(chromium, whole) as page:
        page.locator("[id='fig:learning-curves'] figcaption a.q").first.click()
        told = page.locator(r"#page\:origin").inner_text()
        assert "fewest runs of a setting" in told and "python build.py" in told
        assert page.locator(r"#page\:origin li a").first.get_attribute("href").startswith("../../experiments/records/")


def test_no_heading_takes_the_name_of_a_part_of_the_page(whole: Path, root: Path) -> None:
    template = (root / "templates/html/report.html").read_text(encoding="utf-8")
    names = re.findall(r'\bid="([^"]+)"', template)
    script = (root / "templates/html/report.js").read_text(encoding="utf-8")
    made = re.findall(r'\bid: "([^"]+)"', script)
    assert made and all(name.startswith("page:") for name in made)  # a heading "Origin" was set as the pop-up is
    assert names and all(name.startswith("page:") for name in names)  # pandoc makes `data` of a heading "Data"
    text = whole.read_text(encoding="utf-8")
    assert all(text.count(f'id="{name}"') == 1 for name in [*names, "data"])


def test_the_page_is_light_enough(whole: Path) -> None:
    assert whole.stat().st_size < 1_000_000


def test_a_list_of_many_runs_grows_little_with_each_and_is_equipped_bit_by_bit(
    chromium: Any, small: Path, tmp_path: Path, root: Path
) -> None:
    long = compose_with_runs(tmp_path, root, statuses=MANY)
    assert long.stat().st_size - small.stat().st_size < BYTES_A_RUN * (len(MANY) - len(RUNS))
    with opened(chromium, long) as page:
        page.locator("[data-runs] tbody input").nth(len(MANY) - 1).wait_for(state="attached")
        page.get_by_label("Filter").fill("s449")
        assert visible_runs(page) == [MANY[-1].run.name]
        page.locator("main p a.q").first.click()
        names = [status.run.name for status in MANY]
        listed = page.locator(r"#page\:origin li").all_inner_texts()
        assert [text.split(" ")[0] for text in listed[:-1]] == names[:MOST_ORIGINS]
        assert listed[-1] == f"and {len(MANY) - MOST_ORIGINS} more, in provenance.json"


def test_runs_are_told_by_their_places_and_unknown_ones_by_name() -> None:
    records = [make_record(make_run(seed), 0.7) for seed in range(4)]
    names = [record.run for record in records]
    evidence = SimpleNamespace(recorded=lambda: records, runs=lambda: [measured(make_run(n), 0.7) for n in range(9)])
    gone = make_run(8).name
    quantity = replace(accuracy(), origin=(names[0], names[1], gone, names[3]))
    told = json.loads(page_data([quantity], Origins(evidence), records, ()))
    assert told["origins"][told["quantities"][quantity.id]["origin"]]["runs"] == [[0, 2], gone, [3, 1]]
    assert [CELL + rest for rest, *_ in told["runs"][CELL]] == names


def test_a_run_by_ci_says_so_on_the_page(chromium: Any, tmp_path: Path, root: Path) -> None:
    by_ci = replace(RUNS[1].record, provenance={**RUNS[1].record.provenance, "executor": "ci"})
    page_file = compose_with_runs(tmp_path, root, statuses=(RUNS[0], replace(RUNS[1], record=by_ci), RUNS[2]))
    with opened(chromium, page_file) as page:
        for status, kind in ((RUNS[0], "run here"), (RUNS[1], "run by CI")):
            page.locator("[data-runs] tbody th a", has_text=status.run.name).click()
            assert kind in page.locator(r"#page\:origin").inner_text()
            page.keyboard.press("Escape")


def test_on_paper_there_are_no_controls_and_nothing_is_cut_off(chromium: Any, whole: Path) -> None:
    with opened(chromium, whole, "desk") as page:
        page.emulate_media(media="print")
        page.set_viewport_size({"width": 640, "height": 1000})  # 17 cm, as wide as the text of a sheet
        for control in (".runs", ".curves", "nav", ".skip"):
            assert not page.locator(control).first.is_visible()
        assert page.evaluate(
            "[...document.querySelectorAll('.scroll')].every((e) => getComputedStyle(e).overflowX === 'visible')"
        )
        rows = page.locator("[data-runs] tbody tr")
        recorded = page.locator("[data-runs] tbody tr:has(th a)").count()
        assert 0 < recorded < rows.count()
        assert sum(row.is_visible() for row in rows.all()) == recorded
        assert page.get_by_text("Runs of which no record counts are left out on paper.").is_visible()
        assert page.pdf().startswith(b"%PDF")


def test_on_paper_a_dark_screen_leaves_no_dark_ground(chromium: Any, whole: Path) -> None:
    with opened(chromium, whole, color_scheme="dark") as page:
        page.emulate_media(media="print", color_scheme="dark")
        assert page.locator("pre").evaluate("pre => getComputedStyle(pre).backgroundColor") == "rgb(245, 242, 236)"


def test_on_paper_the_head_of_a_table_is_not_left_alone_at_the_foot_of_a_sheet(chromium: Any, whole: Path) -> None:
    import pypdf

    with opened(chromium, whole) as page:
        sheets = pypdf.PdfReader(io.BytesIO(page.pdf(prefer_css_page_size=True))).pages
        heads = {head.split()[-1] for head in page.locator("thead").all_text_contents()}
    lasts = [sheet.extract_text(extraction_mode="layout").split()[-1] for sheet in sheets]
    assert [word for word in lasts if word in heads] == []


def test_without_script_everything_can_be_read(chromium: Any, small: Path) -> None:
    with opened(chromium, small, java_script_enabled=False) as page:
        number = page.locator("main p a.q").first
        assert number.inner_text().replace("\N{NO-BREAK SPACE}", " ") == "71.23 ± 0.41 % (n = 3)"
        anchor = number.get_attribute("href")
        assert anchor == f"#cell:{CELL}"
        assert page.locator(f'[id="{anchor[1:]}"]').count() == 1


def shown(page: Any) -> dict[str, str]:
    """What the pop-up says, by label."""
    labels, texts = (
        page.locator(r"#page\:origin dt").all_inner_texts(),
        page.locator(r"#page\:origin dd").all_inner_texts(),
    )
    return dict(zip(labels, texts, strict=True))


def test_a_tap_on_a_number_tells_its_runs_with_links_to_record_and_command(chromium: Any, small: Path) -> None:
    with opened(chromium, small, "phone", has_touch=True) as page:
        page.locator("main p a.q").first.tap()
        told = shown(page)
        assert told["What"] == "mean of the last epoch's test accuracy"
        assert told["Kind"] == "re-aggregated from records"
        assert told["Again by"] == f"python build.py run --force {CELL}"
        names = [status.run.name for status in RUNS[:2]]
        assert [name in told["Records"] for name in names] == [True, True]
        links = [link.get_attribute("href") for link in page.locator(r"#page\:origin li a").all()]
        assert links == [f"../../experiments/records/{name}.json" for name in names]
        page.touchscreen.tap(3, 3)  # an origin never lies at the window's very edge
        assert not page.locator(r"#page\:origin").is_visible()


def test_hovering_shows_the_origin_and_leaving_hides_it(chromium: Any, small: Path) -> None:
    with opened(chromium, small) as page:
        page.locator("main p a.q").first.hover()
        page.locator(r"#page\:origin").wait_for(state="visible")
        page.locator(r"#page\:origin").hover()  # the pointer may go there, to follow a link
        page.wait_for_timeout(400)
        assert page.locator(r"#page\:origin").is_visible()
        page.locator("h1").hover()
        page.locator(r"#page\:origin").wait_for(state="hidden")


def test_the_keyboard_reaches_a_number_enters_its_origin_and_escape_goes_back(chromium: Any, small: Path) -> None:
    with opened(chromium, small) as page:
        for _ in range(60):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.matches('main p a.q')"):
                break
        assert page.locator(r"#page\:origin").is_visible()  # focus alone shows it
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "page:origin"
        page.keyboard.press("Tab")
        assert page.evaluate(r"document.activeElement.closest('#page\\:origin') !== null")
        page.keyboard.press("Escape")
        assert not page.locator(r"#page\:origin").is_visible()
        assert page.evaluate("document.activeElement.matches('main p a.q')")


@pytest.mark.parametrize("key", ["Tab", "Shift+Tab"])
def test_past_either_end_of_an_origin_the_keyboard_is_back_at_its_number(chromium: Any, small: Path, key: str) -> None:
    with opened(chromium, small) as page:
        number = page.locator("main p a.q").first
        number.focus()
        page.keyboard.press("Enter")
        stops = page.locator(r"#page\:origin button, #page\:origin a[href]").count()
        for _ in range(stops + 1 if key == "Tab" else 1):
            assert page.locator(r"#page\:origin").is_visible()
            page.keyboard.press(key)
        assert not page.locator(r"#page\:origin").is_visible()
        assert number.evaluate("number => number === document.activeElement")


@pytest.mark.parametrize("size", ["phone", "desk"])
def test_an_origin_never_covers_its_number(chromium: Any, small: Path, size: str) -> None:
    with opened(chromium, small, size) as page:
        for number in page.locator("a.q").all():
            number.evaluate("number => number.scrollIntoView({ block: 'center' })")
            number.click()
            card, box = page.locator(r"#page\:origin").bounding_box(), number.bounding_box()
            assert (
                card["y"] >= box["y"] + 0.5 * box["height"]
                or card["y"] + card["height"] <= box["y"] + 0.5 * box["height"]
            )
            assert card["y"] >= 0 and card["y"] + card["height"] <= page.viewport_size["height"]
            page.keyboard.press("Escape")


def test_an_origin_stays_in_a_window_that_is_lower_than_it(chromium: Any, small: Path) -> None:
    with opened(chromium, small, "phone") as page:
        page.set_viewport_size({"width": 360, "height": 225})  # a laptop's window at 400 %
        for number in page.locator("main p a.q").all():
            number.evaluate("number => number.scrollIntoView({ block: 'center' })")
            number.click()
            card = page.locator(r"#page\:origin").bounding_box()
            assert card["y"] >= 0 and card["y"] + card["height"] <= 225
            page.keyboard.press("Escape")


def test_the_keyboard_stops_at_a_table_only_where_it_can_be_scrolled(chromium: Any, whole: Path) -> None:
    for size, stops in (("desk", False), ("phone", True)):
        with opened(chromium, whole, size) as page:
            frame = page.locator("[id='tab:hyperparameters'] .scroll")
            frame.scroll_into_view_if_needed()
            page.wait_for_timeout(300)
            assert frame.evaluate("frame => frame.scrollWidth > frame.clientWidth && frame.tabIndex === 0") is stops
            assert frame.evaluate("frame => frame.hasAttribute('tabindex')") is stops


def test_the_head_of_a_long_table_stays_in_sight_and_covers_no_row_that_a_link_leads_to(
    chromium: Any, whole: Path
) -> None:
    with opened(chromium, whole) as page:
        cell = page.locator("[data-runs] tbody tr[id]").nth(20).get_attribute("id")
        page.evaluate("id => { location.hash = id; }", cell)
        page.wait_for_timeout(500)
        head, row = (
            page.locator(f"[data-runs] {part}").bounding_box() for part in ("thead th >> nth=0", f"[id='{cell}']")
        )
        assert head["y"] == 0 and head["height"] <= row["y"] < 100
        rows = page.locator("[data-runs] tbody tr:has(th a)")
        rows.nth(60).locator("a").focus()
        for number in range(59, 45, -1):  # upwards, as with Shift and Tab
            link = rows.nth(number).locator("a")
            link.focus()
            assert link.bounding_box()["y"] >= head["height"]


def test_on_a_phone_a_run_has_its_accuracy_beside_its_name_which_stays_in_sight(chromium: Any, whole: Path) -> None:
    with opened(chromium, whole, "phone") as page:
        row = page.locator("[data-runs] tbody tr:has(th a)").first
        row.scroll_into_view_if_needed()
        name, value = row.locator("th"), row.locator("td").nth(1)
        assert value.bounding_box()["x"] + value.bounding_box()["width"] <= page.viewport_size["width"]
        before = name.bounding_box()["x"]
        page.locator("[id='tab:runs'] .scroll").evaluate("frame => { frame.scrollLeft = 200; }")
        assert value.bounding_box()["x"] < before + name.bounding_box()["width"]
        assert name.bounding_box()["x"] == before


def visible_runs(page: Any) -> list[str]:
    return [text for text in page.locator("table[data-runs] tbody tr:visible th").all_inner_texts()]


def test_the_list_of_runs_is_filtered_and_sorted(chromium: Any, small: Path) -> None:
    names = [status.run.name for status in RUNS]
    with opened(chromium, small) as page:
        accuracy_head = page.locator("table[data-runs] thead th").nth(2)
        accuracy_head.locator("button").click()
        assert visible_runs(page) == [names[1], names[0], names[2]]
        assert accuracy_head.get_attribute("aria-sort") == "ascending"
        accuracy_head.locator("button").click()
        assert visible_runs(page) == [names[0], names[1], names[2]]
        accuracy_head.locator("button").click()
        assert visible_runs(page) == names and accuracy_head.get_attribute("aria-sort") is None
        page.get_by_label("State").select_option("pending")
        assert visible_runs(page) == [names[2]]
        assert page.locator(".runs output").inner_text() == "1 of 3 runs"
        page.get_by_label("State").select_option("any")
        page.get_by_label("Filter").fill("s1")
        assert visible_runs(page) == [names[1]]


def test_ticked_runs_are_drawn(chromium: Any, small: Path) -> None:
    with opened(chromium, small) as page:
        assert page.locator(".curves > svg").count() == 0
        for box in page.locator("table[data-runs] input").all():
            box.check()
        assert page.locator(".curves > svg > path").count() == 2
        assert page.locator(".curves li").all_inner_texts() == [
            f"{status.run.name}: {100 * status.record.metrics['test_accuracy']:.2f}\N{NO-BREAK SPACE}%"
            for status in RUNS[:2]
        ]
        assert page.get_by_role("link", name="2 learning curves drawn above the list").is_visible()
        page.get_by_role("button", name="Clear curves").click()
        assert page.locator(".curves > svg").count() == 0
        assert page.locator(".drawn").inner_text() == ""


def test_a_run_that_is_ticked_far_down_the_list_leads_up_to_its_curve(chromium: Any, whole: Path) -> None:
    with opened(chromium, whole) as page:
        page.locator("[data-runs] tbody input").nth(80).check()
        assert not in_sight(page, ".curves > svg")
        assert in_sight(page, ".drawn a")
        page.locator(".drawn a").click()
        assert in_sight(page, ".curves > svg")


def in_sight(page: Any, part: str) -> bool:
    box = page.locator(part).bounding_box()
    return 0 <= box["y"] and box["y"] + box["height"] <= page.viewport_size["height"]


def test_names_that_try_to_break_out_stay_text(chromium: Any, tmp_path: Path, root: Path) -> None:
    hostile = "</script><script>document.title='broken'</script>"
    with opened(chromium, compose_with_runs(tmp_path, root, hostile)) as page:
        assert page.title() != "broken"
        assert hostile in page.locator("main").inner_text()


def test_embedded_data_cannot_end_their_element() -> None:
    quantity = replace(pending(), why="</script>\u2028<!--")
    text = page_data([quantity], Origins(SimpleNamespace(recorded=lambda: (), runs=lambda: ())), (), ())
    assert not re.search("[<\u2028]", text)
    assert json.loads(text)["quantities"][quantity.id]["lines"][0] == [
        "State",
        f"{quantity.state.value}: {quantity.why}",
    ]


@pytest.mark.parametrize(("length", "points", "indices"), [(3, 5, [0, 1, 2]), (5, 3, [0, 2, 4]), (25, 12, None)])
def test_a_curve_keeps_its_first_and_last_point(length: int, points: int, indices: list[int] | None) -> None:
    found = sampled(length, points)
    assert found == (indices or found)
    assert (len(found), found[0], found[-1]) == (min(length, points), 0, length - 1)


def test_of_many_runs_the_curves_are_shorter() -> None:
    records = [replace(make_record(make_run(0), 0.7), history={"test_accuracy": [0.5] * 100})]
    origins = Origins(SimpleNamespace(recorded=lambda: (), runs=lambda: ()))
    for number, points in ((1, CURVE_POINTS), (1001, FEW_POINTS)):
        runs = json.loads(page_data((), origins, records * number, ()))["runs"]
        assert len(runs[""][0][3]) == points
