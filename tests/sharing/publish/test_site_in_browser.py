"""A site in a real browser: three questions in two clicks, search, and accessibility by axe-core."""

import pytest
from support import in_browser
from support.made_gates import commit, fixed_gates, save
from support.made_records import seeds_of
from support.records import save_runs

axe_playwright_python = pytest.importorskip("axe_playwright_python.sync_playwright")
pytestmark = [in_browser.needs_chromium, pytest.mark.slow]
LEVELS = [1.09 if 5 <= place < 11 else 1.0 for place in range(16)]
PAGES = ("index.html", "branch.html", "records.html", "branch/train-step.html", "tasks/cnn.html")


@pytest.fixture
def site(quick):
    save_runs(quick.folder / "results", *seeds_of("torch"), *seeds_of("jax", accuracy=0.51))
    save(quick.folder, *fixed_gates(LEVELS, noise=0.004, name="train"))
    done = quick("publish", "site")
    assert done.returncode == 0, done.stderr
    return quick.folder / "site"


def test_pages_have_no_violation_and_nothing_that_is_too_wide(site):
    axe = axe_playwright_python.Axe()
    gate, run = (next((site / "records").glob(f"*-{kind}-*.html")) for kind in ("gate", "cnn"))
    with in_browser.chromium() as browser:
        for page in [*(site / name for name in PAGES), gate, run]:
            for width, scheme in ((390, "light"), (820, "dark"), (1440, "light")):
                with in_browser.opened(browser, page, width, scheme) as opened:
                    assert opened.said == []
                    assert all(url.startswith(("file:", "data:")) for url in opened.asked)
                    assert opened.evaluate(in_browser.TOO_WIDE) == []
                    found = axe.run(opened).response["violations"]
                    assert [(each["id"], each["nodes"][0]["html"]) for each in found] == [], page.name


def test_since_when_which_commit_and_whether_it_is_fixed_take_two_clicks(site):
    with in_browser.chromium() as browser, in_browser.opened(browser, site / "index.html") as page:
        row = page.locator("tr", has_text=commit(5)[:10]).first
        text = row.inner_text()
        assert "2026-01-06" in text
        assert f"since 2026-01-12, {commit(11)[:10]}" in text
        row.get_by_role("link", name="train, step").click()
        page.wait_for_function(in_browser.DRAWN)
        assert "harness bisect --good" in page.locator("main").inner_text()
        page.get_by_role("link", name="2026-01-06").first.click()
        assert "gate" in page.title().lower()


def test_records_are_found_by_words_kind_and_address(site):
    with in_browser.chromium() as browser, in_browser.opened(browser, site / "records.html") as page:
        count = page.get_by_role("status")
        assert count.inner_text().startswith("22 of 22")
        page.get_by_label("Search").fill("jax-eager-s2")
        assert count.inner_text().startswith("1 of 22")
        page.get_by_label("Search").fill("")
        page.get_by_label("kind").select_option("gate")
        assert count.inner_text().startswith("16 of 22")
        page.goto(f"{(site / 'records.html').as_uri()}?q=torch&kind=run")
        assert page.get_by_role("status").inner_text().startswith("3 of 22")
