"""A site in Chromium: axe-core, the search, the zoom, and a newcomer's questions in two clicks."""

import pytest
from support import in_browser
from support.made_site import FIXED, SLOWER, commit, plant

from harness.sharing.publish.site import publish

axe = pytest.importorskip("axe_playwright_python.sync_playwright")
pytestmark = [pytest.mark.slow, in_browser.needs_chromium]
WIDTHS = (390, 820, 1440)
#: Files are no origin, from which axe-core could read style sheets.
_OPTIONS = {"preload": False}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    plant(folder)
    publish(folder / "results", folder / "site", "Site", "https://github.com/me/project")
    return folder / "site"


@pytest.fixture(scope="module")
def browser():
    with in_browser.chromium() as launched:
        yield launched


def _pages(site):
    every = [
        "index.html",
        "records.html",
        "branch/index.html",
        "branch/train-step.html",
        "machines/index.html",
    ]
    return [*every, *(min((site / kind).glob("2*.html")) for kind in ("runs", "gates")), "tasks/cnn.html"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_axe_finds_no_violation_and_nothing_is_too_wide(browser, site, width, scheme):
    for name in _pages(site):
        with in_browser.opened(browser, site / name, width=width, scheme=scheme) as page:
            found = axe.Axe().run(page, options=_OPTIONS)
            assert found.violations_count == 0, (name, found.generate_report())
            assert page.evaluate(in_browser.TOO_WIDE) == []
            assert page.said == []


def test_two_clicks_answer_since_when_which_commit_and_whether_it_is_fixed(browser, site):
    with in_browser.opened(browser, site / "index.html") as page:
        page.get_by_role("link", name="train, step").first.click()
        page.wait_for_function(in_browser.DRAWN)
        said = page.locator("#main").inner_text()
        assert f"since commit {commit(SLOWER)[:10]} (2026-01-05)" in said
        assert f"fixed by {commit(FIXED)[:10]} (2026-01-10)" in said
        page.locator("tbody a", has_text="gate-0004").first.click()
        page.wait_for_url("**/gates/*gate-0004.html")
        assert "FAIL" in page.locator("h1").inner_text()


def test_the_search_filters_all_records(browser, site):
    with in_browser.opened(browser, site / "records.html") as page:
        page.wait_for_function("document.querySelector('#count').textContent.includes('21 of 21')")
        page.locator(".filters [name=q]").fill("jax")
        assert page.locator("#count").inner_text() == "3 of 21 records"
        page.locator(".filters [name=q]").fill("")
        page.locator(".filters [name=kind]").select_option("gates")
        assert page.locator("#records tbody tr").count() == 15
        page.keyboard.press("Tab")
        page.locator("body").press("/")


def test_zoom_shows_the_last_gates(browser, site):
    with in_browser.opened(browser, site / "branch" / "train-step.html") as page:
        points = "document.querySelectorAll('.chart path[aria-roledescription=circle]').length"
        before = page.evaluate(points)
        page.get_by_role("button", name="last 10", exact=True).click()
        page.wait_for_function(f"{points} === 10")
        assert before == 15
        page.locator(".chart path[aria-roledescription=circle]").first.click(force=True)
        page.wait_for_url("**/gates/*-gate-*.html")
