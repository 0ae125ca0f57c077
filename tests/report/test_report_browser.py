"""The HTML report in a real Chromium: the answer first, charts, links, sorting, phones, dark mode, paper."""

import contextlib

import pytest
from support import in_browser
from support.made_outcomes import classification_record
from support.made_runs import made_setting, seeds_of
from support.made_study import RNN, report_findings
from support.rendered import html_report

from harness.analysis.findings import read_findings
from harness.report.numbers import RATIO_LEGEND
from harness.runs.store import Store

pytestmark = in_browser.needs_chromium


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(html_report(report_findings()), "utf-8")
    return path


@pytest.fixture(scope="module")
def desktop(browser, page_file):
    """The page on a desktop, for tests that leave it as it is."""
    with in_browser.opened(browser, page_file) as page:
        yield page


@pytest.fixture
def opened(browser, page_file):
    """Opens the page at a size and scheme; it knows what it logged and requested."""
    with contextlib.ExitStack() as pages:
        yield lambda **look: pages.enter_context(in_browser.opened(browser, page_file, **look))


def _plain(text):
    return " ".join(text.split())


def test_it_opens_offline_without_a_message(desktop, page_file):
    assert desktop.said == []
    assert [url for url in desktop.asked if not url.startswith("data:")] == [page_file.as_uri()]


def test_the_first_screen_holds_the_answer_of_every_task(desktop):
    cards = desktop.locator(".cards article")
    titles = [_plain(title) for title in cards.locator("h3").all_inner_texts()]
    assert [title.partition(",")[0] for title in titles] == ["cnn on digits", "rnn on digits"]
    rows = cards.first.locator("tbody tr").all_inner_texts()
    assert [_plain(row).removeprefix("\t") for row in rows] == [
        "jax:eager reference –",
        "torch:eager 2.0× slower [2.0, 2.0] ▲ better",
        "keras:eager 20.0× slower [20.0, 20.0] ▲ better",
    ]
    assert "torch:eager +7.0 % [7.0, 7.0] = equal" in _plain(cards.last.inner_text())
    bottoms = [box["y"] + box["height"] for box in (card.bounding_box() for card in cards.all())]
    assert max(bottoms) < 900
    assert desktop.get_by_text(RATIO_LEGEND).count() == 1


def test_on_a_phone_the_first_screen_holds_the_first_answer(opened):
    page = opened(width=390, height=844)
    box = page.locator(".cards article").first.bounding_box()
    assert box["y"] + box["height"] < 844


def test_points_stand_where_the_ratios_are(desktop):
    card = desktop.locator(".cards article").first
    boxes = [point.bounding_box() for point in card.locator(".point").all()]
    one, two, twenty = (box["x"] + box["width"] / 2 for box in boxes)
    # On a logarithmic axis the distances of 2 and 20 from 1 are as log 2 to log 20.
    assert (two - one) / (twenty - one) == pytest.approx(0.2314, abs=0.01)
    labels = {label.inner_text(): label.bounding_box() for label in card.locator("tfoot span").all()}
    tick = labels["1×"]
    assert tick["x"] + tick["width"] / 2 == pytest.approx(one, abs=1.5)


def test_every_link_resolves_and_the_contents_follow(opened):
    page = opened()
    hrefs = "links => links.map(link => link.getAttribute('href'))"
    targets = page.eval_on_selector_all("a[href^='#']", hrefs)
    assert len(targets) > 8
    assert [target for target in targets if page.locator(target).count() != 1] == []
    current = page.locator("nav a[aria-current]")
    assert current.all_inner_texts() == ["Answer"]
    page.locator("nav a", has_text="Method and notes").click()
    page.wait_for_function("document.querySelector('nav a[aria-current]').textContent.startsWith('Method')")
    assert current.count() == 1


def test_findings_are_grouped_by_task(desktop):
    assert [_plain(title) for title in desktop.locator("section[id^=task] > h2").all_inner_texts()] == [
        "cnn",
        "rnn",
    ]
    cnn = desktop.locator("section[id^=task]").first
    assert "keras:eager" in cnn.inner_text()
    assert cnn.locator("h3").last.inner_text().startswith("Study of overfitting")


def test_every_chart_has_its_marks(desktop):
    marks = desktop.evaluate(in_browser.MARKS)
    names = {name.rpartition("-")[2] for name in marks}
    assert names == {"time", "steps", "phases", "curves", "gap", "loss", "score", "differences"}
    assert min(marks.values()) >= 3, marks
    # Three configurations, each with a mean and three seeds, of training and of held-out scores.
    assert desktop.locator("#comparison-1-curves .mark-line path").count() == 3 * (1 + 3) * 2
    titles = desktop.locator("#comparison-1-time .role-axis-title text").all_text_contents()
    assert titles == ["training time (s)", "test accuracy (%)"]


def test_a_table_sorts_on_a_click_both_ways(opened):
    page = opened()
    table = page.locator(
        "section[id^=task] table.sortable", has=page.get_by_role("button", name="step")
    ).first
    names = table.locator("tbody th")
    assert names.all_inner_texts() == ["jax:eager", "torch:eager", "keras:eager"]
    button = table.get_by_role("button", name="step").first
    button.click()
    assert names.all_inner_texts() == ["jax:eager", "torch:eager", "keras:eager"]
    button.click()
    assert names.all_inner_texts() == ["keras:eager", "torch:eager", "jax:eager"]
    table.get_by_role("button").first.click()
    assert names.all_inner_texts() == ["jax:eager", "keras:eager", "torch:eager"]


@pytest.mark.parametrize(
    ("width", "scheme", "ground"),
    [(390, "dark", None), (900, "light", "rgb(255, 255, 255)"), (1440, "light", "rgb(255, 255, 255)")],
)
def test_nothing_overflows_and_all_text_has_contrast(opened, width, scheme, ground):
    page = opened(width=width, scheme=scheme)
    shown = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert shown == ground if ground else shown != "rgb(255, 255, 255)"
    page.eval_on_selector_all("details", "all => all.forEach(one => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(in_browser.TOO_WIDE) == []
    assert page.evaluate(in_browser.LOW_CONTRAST) == []


def test_paper_shows_everything_but_the_contents(opened):
    page = opened(width=720, scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator("nav").is_visible()
    assert page.locator("details").count() > 3
    folded = "all => all.filter(one => one.offsetHeight < 20 + one.firstElementChild.offsetHeight)"
    assert page.eval_on_selector_all("details", f"{folded}.map(one => one.id)") == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 720
    assert page.pdf(format="A4").startswith(b"%PDF")


# A page with more configurations than a chart holds, and with sample predictions.


@pytest.fixture(scope="module")
def crowded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("crowded")
    store = Store(folder)
    store.prepare()
    recalls = {f"recall_{label}": 0.3 + label / 15 for label in range(10)}
    for number, name in enumerate(["adam", "adamw", "gd", "momentum", "rmsprop", "sgd"]):

        def losses(seed, second=1.0 + number / 10):
            return [2.0, second, 0.5 + seed / 100]

        for record in seeds_of(made=made_setting, optimizer=name, train=losses, held_out=losses):
            record.test_at_best |= recalls
            store.save(record)
    for seed in range(3):
        classification_record(store, seed, task=RNN, train=(2.0, 1.0, 0.5), held_out=(2.0, 1.0, 1.5))
    path = folder / "report.html"
    path.write_text(html_report(read_findings((), folder)), "utf-8")
    return path


@pytest.mark.parametrize(("width", "columns"), [(390, 2), (1280, 4)])
def test_many_configurations_stand_in_panels_that_fit(browser, crowded, width, columns):
    with in_browser.opened(browser, crowded, width=width) as page:
        assert page.said == []
        assert page.evaluate(in_browser.CUT) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for kind in ("loss", "curves", "gap", "recall"):
            headings = page.locator(f"#comparison-1-{kind} .role-title").all()
            boxes = [heading.bounding_box() for heading in headings]
            assert len(boxes) == 6
            assert len({round(box["x"]) for box in boxes}) == columns


@pytest.mark.parametrize("width", [390, 1280])
def test_texts_of_charts_do_not_cover_each_other(browser, crowded, width):
    with in_browser.opened(browser, crowded, width=width) as page:
        for kind in ("examples", "loss", "curves"):
            assert page.evaluate(in_browser.OVERLAPPING, kind) == []
