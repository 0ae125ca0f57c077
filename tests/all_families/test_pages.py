"""Pages in a real Chromium: they load nothing, fit, are legible, and their charts have every mark."""

import contextlib

import pytest
from support import in_browser
from support.gate_formats import hostile_gate
from support.in_browser import CUT, LOW_CONTRAST, MARKS, OVERLAPPING, TOO_WIDE
from support.made_duels import hostile_duel, stored_duel
from support.made_gates import fixed_gates, made_benchmark, mixed_gate
from support.made_outcomes import classification_record
from support.made_records import made_setting, seeds_of
from support.made_study import RNN, report_findings
from support.records import save_runs

from harness.core.documents.numbers import RATIO_LEGEND
from harness.core.documents.render.html import html_page
from harness.learning.runs.findings import read_findings
from harness.learning.runs.page import findings_document
from harness.timing.duel.page import duel_document
from harness.timing.gate.page import gate_document
from harness.timing.history.findings import find_history
from harness.timing.history.page import history_document

pytestmark = in_browser.needs_chromium

#: What would run, load or name something if a page took it for more than text.
HOSTILE = """</script><img src=x onerror="document.title='had'">{{ 7*7 }}&amp;`x`"""
WHITE = "rgb(255, 255, 255)"
WIDTH = "document.documentElement.scrollWidth"
GROUND = "getComputedStyle(document.body).backgroundColor"


def changed_history():
    """Two regressions of one benchmark, a gain of another, and a third that is no longer measured."""
    slower = fixed_gates([1.0] * 8 + [1.06] * 8 + [1.12] * 8)
    faster = fixed_gates([1.0] * 12 + [0.9] * 12, name=HOSTILE)
    for gate, other in zip(slower, faster, strict=True):
        gate.benchmarks += other.benchmarks
    slower[0].benchmarks.append(made_benchmark("gone"))
    return find_history(slower)


def crowded_report(folder):
    """More configurations than a chart holds, and sample predictions."""
    store = save_runs(folder)
    recalls = {f"recall_{label}": 0.3 + label / 15 for label in range(10)}
    for number, name in enumerate(["adam", "adamw", "gd", "momentum", "rmsprop", "sgd"]):

        def losses(seed, second=1.0 + number / 10):
            return [2.0, second, 0.5 + seed / 100]

        for record in seeds_of(made=made_setting, optimizer=name, train=losses, held_out=losses):
            record.test_at_best |= recalls
            store.save(record)
    for seed in range(3):
        classification_record(store, seed, task=RNN, train=(2.0, 1.0, 0.5), held_out=(2.0, 1.0, 1.5))
    return html_page(findings_document(read_findings((), folder)))


PAGES = {
    "duel": lambda _: html_page(duel_document(stored_duel())),
    "hostile duel": lambda _: html_page(duel_document(hostile_duel(HOSTILE))),
    "gate": lambda _: html_page(gate_document(mixed_gate())),
    "hostile gate": lambda _: html_page(gate_document(hostile_gate(f"{HOSTILE}\x1b[31m"))),
    "hostile history": lambda _: html_page(history_document(changed_history())),
    "report": lambda _: html_page(findings_document(report_findings())),
    "crowded report": crowded_report,
}


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    """Writes a page once; its path."""
    folder = tmp_path_factory.mktemp("pages")

    def path(kind):
        file = folder / f"{kind}.html"
        if not file.exists():
            file.write_text(PAGES[kind](folder / "results"), "utf-8")
        return file

    return path


@pytest.fixture(scope="module")
def browser():
    with in_browser.chromium() as launched:
        yield launched


@pytest.fixture
def opened(browser, page_file):
    """Opens a page at a size and scheme; it knows what it logged and requested."""
    with contextlib.ExitStack() as pages:
        yield lambda kind, **look: pages.enter_context(in_browser.opened(browser, page_file(kind), **look))


@pytest.fixture(scope="module")
def desktop(browser, page_file):
    """The report on a desktop, for tests that leave it as it is."""
    with in_browser.opened(browser, page_file("report")) as page:
        yield page


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
@pytest.mark.parametrize("kind", PAGES)
def test_a_page_loads_nothing_fits_is_legible_and_takes_no_text_for_markup(
    opened, page_file, kind, width, scheme
):
    page = opened(kind, width=width, scheme=scheme)
    page.eval_on_selector_all("details", "all => all.forEach(one => { one.open = true; })")
    assert page.said == []
    assert [url for url in page.asked if not url.startswith("data:")] == [page_file(kind).as_uri()]
    assert (page.evaluate(GROUND) == WHITE) == (scheme == "light")
    assert page.evaluate(WIDTH) <= width
    assert page.evaluate(TOO_WIDE) == []
    assert page.evaluate(LOW_CONTRAST) == []
    assert page.title() != "had"
    assert page.locator("img").count() == 0
    assert ("hostile" in kind) == (HOSTILE in page.locator("body").inner_text())


def test_the_page_of_a_gate(opened):
    page = opened("gate")
    explanations = page.locator("#explanations li").all_inner_texts()
    assert [text.partition(":")[0] for text in explanations] == ["rnn-compiled", "gan", "forecast", "mlp"]
    assert page.locator("#explanations").bounding_box()["y"] < 300
    # Four benchmarks: a limit, an interval and a point each, and the line at zero.
    assert page.evaluate(MARKS) == {
        "change-step": 13,
        "change-first-step": 13,
        "change-memory": 13,
        "pairs": 4 * 3 + 2 * 8 + 1,
    }


def test_the_page_of_a_duel(opened):
    marks = opened("duel").evaluate(MARKS)
    # Pairs, the line at zero, the band, the interval, the ratio; pairs, a line, zero; turns and borders.
    assert (marks.pop("pairs"), marks.pop("course")) == (10 + 4, 10 + 2)
    assert marks.pop("turns") >= 2 * 540 + 9
    assert not marks


def test_the_page_of_a_history(opened):
    page = opened("hostile history")
    rows = page.locator("#changes tbody tr").all()[:2]
    assert [row.locator("th").inner_text() for row in rows] == ["cnn, step", f"{HOSTILE}, step"]
    assert [row.locator("td").first.inner_text()[0] for row in rows] == ["+", "−"]
    assert [row.locator("td").first.get_attribute("data-tone") for row in rows] == ["bad", "good"]
    marks = page.evaluate(MARKS)
    # Of 24 gates an interval and a dot each, a line, zero, and the size of each change.
    assert marks == {"series-1": 2 * 24 + 1 + 1 + 2, "series-2": 2 * 24 + 1 + 1 + 1}
    sizes = page.locator("#series-1 .role-mark.mark-text text").all_text_contents()
    assert len(sizes) == 2
    assert all(size.startswith("+") and size.endswith(" %") for size in sizes)


def test_the_first_screen_holds_the_answer_of_every_task(desktop):
    answers = desktop.locator("#answer > ul > li, #answer > .said li")
    titles = [title.partition(",")[0] for title in answers.locator("a").all_inner_texts()]
    assert titles == ["cnn on digits", "rnn on digits"]
    bottoms = [box["y"] + box["height"] for box in (answer.bounding_box() for answer in answers.all())]
    assert max(bottoms) < 900
    assert desktop.get_by_text(RATIO_LEGEND).count() == 1


def test_on_a_phone_the_first_screen_holds_the_first_answer(opened):
    page = opened("report", width=390, height=844)
    box = page.locator("#answer li").first.bounding_box()
    assert box["y"] + box["height"] < 844


def test_every_link_resolves_and_the_contents_follow(opened):
    page = opened("report")
    hrefs = "links => links.map(link => link.getAttribute('href'))"
    targets = page.eval_on_selector_all("a[href^='#']", hrefs)
    assert len(targets) > 8
    assert [target for target in targets if page.locator(target).count() != 1] == []
    current = page.locator("nav a[aria-current]")
    assert current.all_inner_texts() == ["Answer"]
    page.locator("nav a", has_text="Method and notes").click()
    page.wait_for_function("document.querySelector('nav a[aria-current]').textContent.startsWith('Method')")
    assert current.count() == 1


def test_every_chart_has_its_marks(desktop):
    marks = desktop.evaluate(MARKS)
    names = {name.rpartition("-")[2] for name in marks}
    assert names == {"relative", "time", "curves", "gap", "loss", "score", "differences"}
    assert min(marks.values()) >= 3, marks
    # Three configurations, each with a mean and three seeds, of training and of held-out scores.
    assert desktop.locator("#comparison-1-curves .mark-line path").count() == 3 * (1 + 3) * 2
    titles = desktop.locator("#comparison-1-time .role-axis-title text").all_text_contents()
    assert titles == ["training time (s)", "test accuracy (%)"]


def test_a_table_sorts_on_a_click_both_ways(opened):
    page = opened("report")
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


@pytest.mark.slow
def test_paper_shows_everything_but_the_contents(opened):
    page = opened("report", width=720, scheme="dark")
    page.emulate_media(media="print")
    assert page.evaluate(GROUND) == WHITE
    assert not page.locator("nav").is_visible()
    assert page.locator("details").count() > 3
    folded = "all => all.filter(one => one.offsetHeight < 20 + one.firstElementChild.offsetHeight)"
    assert page.eval_on_selector_all("details", f"{folded}.map(one => one.id)") == []
    assert page.evaluate(WIDTH) <= 720
    assert page.pdf(format="A4").startswith(b"%PDF")


@pytest.mark.parametrize(("width", "columns"), [(390, 2), (1280, 4)])
def test_many_configurations_stand_in_panels_that_fit_and_texts_do_not_cover_each_other(
    opened, width, columns
):
    page = opened("crowded report", width=width)
    assert page.evaluate(CUT) == []
    for kind in ("loss", "curves", "gap", "recall"):
        headings = page.locator(f"#comparison-1-{kind} .role-title").all()
        places = [round(heading.bounding_box()["x"]) for heading in headings]
        assert (len(places), len(set(places))) == (6, columns)
    assert [page.evaluate(OVERLAPPING, kind) for kind in ("examples", "loss", "curves")] == [[]] * 3
