"""A site in Chromium: axe-core, the filter, and a newcomer's questions in two clicks."""

import pytest
from support import in_browser
from support.made_site import SLOWER, commit, plant

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
    every = ["index.html", "records.html", "branch/index.html", "branch/train-step.html"]
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


def test_two_clicks_answer_since_when_and_which_commit(browser, site):
    with in_browser.opened(browser, site / "index.html") as page:
        page.get_by_role("link", name="train, step").first.click()
        page.wait_for_function(in_browser.DRAWN)
        said = page.locator("#main").inner_text()
        assert f"since commit {commit(SLOWER)[:10]} (2026-01-05)" in said
        page.locator("tbody a", has_text="gate-0004").first.click()
        page.wait_for_url("**/gates/*gate-0004.html")
        assert "FAIL" in page.locator("h1").inner_text()


def test_the_filter_shows_the_records_that_have_the_words(browser, site):
    with in_browser.opened(browser, site / "records.html") as page:
        rows = page.locator("#main tbody tr:visible")
        assert rows.count() == 21
        page.locator("#filter").fill("jax runs")
        assert rows.count() == 3
