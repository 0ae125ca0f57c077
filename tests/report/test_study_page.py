"""The page of a study: it explains the question, says what was trained, and what each variant did."""

import re

import msgspec
import pytest
from support.charts import valid
from support.made_study import RISES, STUDY, made_study
from support.rendered import page_of_study

from harness.report.charts.study import effects
from harness.report.study import method
from harness.report.study_sections import (
    answer,
    beginning,
    changes_text,
    edge_sentences,
    figures_of_study,
    headline,
    more_data,
    reference_curve,
)

JARGON = re.compile(r"\b(GL|PQ|Pareto|Prechelt)\b")


def _text(page):
    """What a reader sees."""
    body = page[page.index("<body>") : page.index("<script>")]
    return " ".join(re.sub(r"<[^>]+>", " ", body).split())


def test_the_page_explains_itself_without_jargon():
    text = _text(page_of_study([made_study()]))
    assert text.count("cnn on digits overfits from epoch 5 of 12") == 1
    for words in (
        "What overfitting is",
        "What was trained",
        "Where it begins here",
        "What each remedy is",
        "Would more data help?",
        "Switches off a random share of the units",
        "--set dropout=",
        "the training loss falls further, and the validation loss rises. That is overfitting",
    ):
        assert words in text
    assert not JARGON.search(text)


def test_every_chart_of_the_page_is_valid_and_has_a_place():
    study = made_study()
    figures = figures_of_study(study, "part-1")
    assert [figure.name.removeprefix("part-1-") for figure in figures] == [
        "plain-loss",
        "plain-score",
        "effects-loss",
        "effects-score",
        "effects-gap",
        "curves-loss",
        "curves-score",
        "data",
    ]
    page = page_of_study([study])
    for figure in figures:
        valid(figure.chart)
        assert page.count(f'id="{figure.name}"') == 1


def test_where_it_begins_has_the_numbers_of_the_curves():
    plain = reference_curve(made_study())
    lowest, later, final, *_ = beginning(plain)
    assert lowest == (
        "The validation loss is lowest after epoch 4 (median over 3 seeds): 1.01. "
        "The training loss is 0.746 there."
    )
    assert "risen to 1.81, by 79 %. From epoch 5 on it stays at least 5 % above" in later
    assert "a gap of" in final


@pytest.mark.parametrize(
    ("variant", "verdict"),
    [("dropout", "better"), ("l2", "better"), ("half the data", "worse"), ("early stopping", "better")],
)
def test_each_variant_has_its_verdict(variant, verdict):
    by_name = {effect.variant.name: effect for effect in made_study().effects}
    assert by_name[variant].verdict == verdict


def test_one_seed_helps_nobody():
    study = made_study(seeds=1)
    assert "So few seeds do not show which remedy is better" in answer(study)
    assert {effect.verdict for effect in study.effects[1:]} == {"few"}
    assert not any("95 %" in figure.caption for figure in effects(study, "part-1"))
    assert "[" not in " ".join(changes_text(study, effect) for effect in study.effects[1:])


def test_a_network_that_does_not_overfit_is_said_to():
    study = made_study(rises=RISES | {"plain": (0.0, 1.0, 0.6)})
    assert headline(study, reference_curve(study)) == "cnn on digits does not overfit within 12 epochs"
    assert "does not overfit within 12 epochs" in beginning(reference_curve(study))[1]
    text = _text(page_of_study([study]))
    assert "Does the network overfit here?" in text
    assert "Where it begins here" not in text


def test_more_data_is_recommended_only_where_less_widens_the_gap():
    assert more_data(made_study()).endswith("So more data should help.")
    assert more_data(made_study(rises=RISES | {"half the data": (0.0, 3.0, 0.45)})).endswith("would help.")


def test_the_method_names_what_a_paper_must_say():
    text = method([made_study()])
    for words in (
        "12 epochs",
        "torch:eager",
        "3 seeds",
        "Bonferroni",
        "plain, dropout, l2",
        "early stopping",
    ):
        assert words in text


def test_a_setting_at_the_end_of_its_range_says_where_to_search():
    variants = [
        msgspec.structs.replace(each, assignments=["l2=0.03"]) if each.name == "l2" else each
        for each in STUDY.variants
    ]
    (sentence,) = edge_sentences(msgspec.structs.replace(STUDY, variants=variants))
    assert sentence.startswith("l2 is best with l2=0.03, at the end of its range (0.03).")
    assert "--search l2.l2=0.0003:0.3" in sentence
