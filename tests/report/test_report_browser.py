"""The HTML report in a real Chromium: it opens offline, draws, sorts, and fits a phone."""

import contextlib

import pytest
from support import in_browser
from support.made_runs import CERTIFIED, made_record

from harness.analysis.findings import find
from harness.analysis.run_curves import Run
from harness.analysis.study import Study, Variant
from harness.report.page import html_report

pytestmark = in_browser.needs_chromium


def _records():
    for number, (name, step) in enumerate((("jax", 0.005), ("torch", 0.01), ("keras", 0.1))):
        for seed in range(3):
            yield made_record(
                name,
                seed,
                step=step,
                accuracy=0.5 + number / 10 + seed / 100,
                train=(2.0, 1.5, 1.0, 0.5 + seed / 100),
                held_out=(2.0, 1.6, 1.7, 2.0 - seed / 100),
                certificate=CERTIFIED,
            )


@pytest.fixture(scope="module")
def page_file(tmp_path_factory):
    record = made_record()
    variants = [Variant("plain", [], record.task.sha256)]
    study = Study(
        kind="overfitting",
        task="cnn",
        dataset="digits",
        epochs=4,
        max_steps=None,
        precision="float32",
        threads=2,
        variants=variants,
    )
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(html_report(find(map(Run.of, _records()), [study])))
    return path


@pytest.fixture(scope="module")
def browser():
    with in_browser.chromium() as launched:
        yield launched


@pytest.fixture
def opened(browser, page_file):
    """The page at a size and scheme, with what it said on the console and asked of the network."""
    with contextlib.ExitStack() as pages:
        yield lambda **look: pages.enter_context(in_browser.opened(browser, page_file, **look))


def test_it_opens_offline_without_a_word(opened, page_file):
    page = opened()
    assert page.said == []
    assert [url for url in page.asked if not url.startswith("data:")] == [page_file.as_uri()]


def test_the_first_screen_answers(opened):
    page = opened()
    lead = page.locator(".lead")
    assert lead.inner_text().startswith(
        "On Test CPU (2 threads), jax:eager trains cnn on digits, 4 epochs 2.00×"
    )
    glance = page.locator(".findings table.named tbody tr")
    assert [row.split("\t")[1:3] for row in glance.all_inner_texts()] == [
        ["jax:eager", "1"],
        ["torch:eager", "2.00\xa0[2.00,\xa02.00]"],
        ["keras:eager", "20.00\xa0[20.00,\xa020.00]"],
    ]
    assert glance.last.bounding_box()["y"] < 900
    assert [row.split("\t")[5] for row in glance.all_inner_texts()] == ["–", "better", "better"]


def test_every_chart_has_its_marks(opened):
    page = opened()
    marks = page.evaluate(in_browser.MARKS)
    assert {name.rpartition("-")[2] for name in marks} == {
        "time",
        "curves",
        "steps",
        "phases",
        "gap",
        "remedies",
    }
    assert min(marks.values()) >= 3, marks
    # Three sides: as many lines for training and for held-out scores.
    assert page.locator("#setting-1-curves .mark-line path").count() == 6


def test_a_table_sorts_on_a_click_both_ways(opened):
    page = opened()
    table = page.locator("table.sortable", has=page.get_by_role("button", name="step (ms)")).first
    names = table.locator("tbody th")
    assert names.all_inner_texts() == ["jax:eager", "torch:eager", "keras:eager"]
    button = table.get_by_role("button", name="step (ms)")
    button.click()
    assert names.all_inner_texts() == ["jax:eager", "torch:eager", "keras:eager"]
    button.click()
    assert names.all_inner_texts() == ["keras:eager", "torch:eager", "jax:eager"]
    table.get_by_role("button", name="side").click()
    assert names.all_inner_texts() == ["jax:eager", "keras:eager", "torch:eager"]


def test_nothing_overflows_a_phone(opened):
    page = opened(width=390)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.evaluate(in_browser.TOO_WIDE) == []


def test_it_follows_the_reader_from_light_to_dark(opened):
    ground = "getComputedStyle(document.body).backgroundColor"
    ink = "getComputedStyle(document.querySelector('.chart svg text')).fill"
    light, dark = opened(), opened(scheme="dark")
    assert light.evaluate(ground) == "rgb(255, 255, 255)"
    assert dark.evaluate(ground) != light.evaluate(ground)
    assert dark.evaluate(ink) != light.evaluate(ink)
