"""The page of a study: it explains overfitting, shows where it begins, and what each remedy did."""

import re

import pytest
from support.charts import valid
from support.made_study import RISES, made_study
from support.rendered import page_of_study

from harness.report.charts.study import remedies_figure, study_figures
from harness.report.study import answer, beginning, headline, lessons, more_data

JARGON = re.compile(r"\b(GL|PQ|Pareto|Bonferroni|Prechelt)\b")


def _text(page):
    """What a reader sees."""
    body = page[page.index("<body>") : page.index("<script>")]
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def test_the_page_explains_itself_without_jargon():
    text = _text(page_of_study([made_study()]))
    assert text.count("cnn on digits overfits from epoch 5 of 12") == 1
    for words in (
        "What overfitting is",
        "Where it begins here",
        "What each remedy does",
        "Would more data help?",
        "Switches off a random half of the units",
        "--set dropout=0.5",
        "the training loss falls further, and the validation loss rises. That is overfitting",
    ):
        assert words in text
    assert not JARGON.search(text)


def test_every_chart_of_the_page_is_valid_and_has_a_place():
    study = made_study()
    figures = study_figures(study, "part-1")
    assert [figure.name.removeprefix("part-1-") for figure in figures] == [
        "plain-loss",
        "plain-score",
        "losses",
        "remedies",
        "data",
    ]
    page = page_of_study([study])
    for figure in figures:
        valid(figure.chart)
        assert page.count(f'id="{figure.name}"') == 1


def test_where_it_begins_has_the_numbers_of_the_curves():
    plain = made_study().curves()["plain"]
    lowest, later, final, *_ = beginning(plain)
    assert lowest == (
        "The validation loss is lowest after epoch 4 (median over 3 seeds): 1.01. "
        "The training loss is 0.746 there."
    )
    assert "risen to 1.81, by 79 %. From epoch 5 on it stays at least 5 % above" in later
    assert "a gap of" in final


@pytest.mark.parametrize(
    ("remedy", "verdict", "onset"),
    [
        ("dropout", "helps", "does not overfit within 12 epochs"),
        ("l2", "unclear", "overfits from epoch 6"),
        ("half the data", "harms", "overfits from epoch 5"),
    ],
)
def test_each_remedy_has_its_verdict(remedy, verdict, onset):
    study = made_study(rises=RISES | {"l2": (0.05, 0.60)})
    lesson = {each.name: each for each in lessons(study, study.curves())}[remedy]
    assert (lesson.verdict, lesson.onset) == (verdict, onset)


def test_one_seed_helps_nobody():
    study = made_study(seeds=1)
    assert "So few seeds do not show whether a remedy helps" in answer(study)
    assert {lesson.verdict for lesson in lessons(study, study.curves())} == {"few"}
    assert "95 %" not in remedies_figure(study, "part-1").caption
    assert "[" not in " ".join(lesson.outcome for lesson in lessons(study, study.curves()))


def test_a_network_that_does_not_overfit_is_said_to():
    study = made_study(rises=RISES | {"plain": (0.0, 0.6)})
    plain = study.curves()["plain"]
    assert headline(study, plain) == "cnn on digits does not overfit within 12 epochs"
    assert "does not overfit within 12 epochs" in beginning(plain)[1]
    text = _text(page_of_study([study]))
    assert "Does the network overfit here?" in text
    assert "Where it begins here" not in text


def test_gaps_have_the_digits_of_the_table():
    study = made_study()
    outcome = lessons(study, study.curves())[0].outcome
    assert re.search(r"; gap \d+\.\d → \d+\.\d points$", outcome), outcome


def test_more_data_is_recommended_only_where_less_widens_the_gap():
    assert more_data(made_study()).endswith("So more data should help.")
    assert more_data(made_study(rises=RISES | {"half the data": (0.0, 0.45)})).endswith("would help.")
