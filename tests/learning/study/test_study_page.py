"""The page of a study: it explains the question, says what was trained, and what each variant did."""

import re

import msgspec
import pytest
from support.made_runs import study_findings_of
from support.made_study import STUDY, made_study, made_study_records
from support.outline import outline

from harness.learning.study.answer import changes_text, study_sentence
from harness.learning.study.page import study_document
from harness.learning.study.parts.comparison import effect_charts
from harness.learning.study.parts.curves import more_data
from harness.learning.study.parts.tuning import edge_sentences
from harness.learning.study.record import Trial

JARGON = re.compile(r"\b(GL|PQ|Pareto|Prechelt)\b")


def test_the_page_explains_itself_without_jargon():
    assert not JARGON.search(outline(study_document([made_study()])))


def without_certificates():
    records = (msgspec.structs.replace(record, certificate=None) for record in made_study_records())
    (finding,) = study_findings_of(*records, studies=[STUDY])
    return finding


STUDIES = {
    "overfits": made_study(),
    "one seed": made_study(seeds=1),
    "not certified": without_certificates(),
}


@pytest.mark.parametrize("name", STUDIES)
def test_sentences(name, snapshot):
    study = STUDIES[name]
    assert [study_sentence(study), more_data(study)] == snapshot


def test_one_seed_has_no_intervals():
    study = STUDIES["one seed"]
    assert {effect.verdict for effect in study.effects[1:]} == {"few", "control"}
    assert not any("95 %" in figure.caption for figure in effect_charts(study, "part-1"))
    assert "[" not in " ".join(changes_text(study, effect) for effect in study.effects[1:])


def test_a_setting_at_the_end_of_its_range_says_where_to_search(snapshot):
    variants = [
        msgspec.structs.replace(each, assignments=["l2=0.03"]) if each.name == "l2" else each
        for each in STUDY.variants
    ]
    trials = [Trial("l2", ["l2=0.03"], "9" * 64, 1.0)] * 4
    assert edge_sentences(msgspec.structs.replace(STUDY, variants=variants, trials=trials)) == snapshot
