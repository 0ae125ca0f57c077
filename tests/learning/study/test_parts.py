"""Parts of studies: a kind of study names those of the features that are present."""

import msgspec
import pytest
from support.made_runs import study_findings_of
from support.made_study import STUDY, made_study_records
from support.outline import outline
from support.pages import module

from harness.errors import UsageError
from harness.learning.study import parts
from harness.learning.study.page import study_document
from harness_tasks.studies import STUDIES as KINDS


@pytest.mark.parametrize("name", KINDS)
def test_the_included_kinds_name_known_parts_and_quantities(name):
    parts.check_names(KINDS[name])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sections": ("effects", "onsett")}, "unknown section 'onsett' of the study overfitting. Did you"),
        ({"sections": ("reliabilty",)}, "'reliability'.*Known: .*curves, effects, .*explanations"),
        (
            {"quantities": ("socre",)},
            "unknown quantity 'socre' of the study overfitting. Did you mean 'score'",
        ),
        ({"decisive": ("recall",)}, "unknown quantity 'recall'.*balanced_accuracy.*deletion gain"),
    ],
)
def test_unknown_names_are_refused_with_the_known_ones(changes, message):
    with pytest.raises(UsageError, match=message):
        parts.check_names(msgspec.structs.replace(KINDS["overfitting"], **changes))


def test_the_recall_of_a_class_is_a_quantity():
    parts.check_names(msgspec.structs.replace(KINDS["overfitting"], quantities=("recall_3", "auc")))


def _page(*sections):
    kind = msgspec.structs.replace(STUDY.kind, sections=sections)
    study = msgspec.structs.replace(STUDY, kind=kind)
    records = [
        msgspec.structs.replace(record, measured={"peak_memory_bytes": 2.0**30})
        for record in made_study_records()
    ]
    return outline(study_document(study_findings_of(*records, studies=[study])))


def test_a_part_of_an_absent_feature_is_named():
    assert "Not shown: memory." in _page("effects", "memory")


@pytest.fixture
def of_the_guide(monkeypatch):
    """The parts of the features, and that of the guide."""
    names = {}
    exec(module("docs/how-to/add-a-kind-of-study.md", "my_part"), names)  # noqa: S102
    present = [*parts.parts().values()]
    for cached in (parts.parts, parts.definitions):
        cached.cache_clear()
    monkeypatch.setattr(parts, "hooked", lambda _hook: [present, names["PARTS"]])
    yield
    for cached in (parts.parts, parts.definitions):
        cached.cache_clear()


@pytest.mark.usefixtures("of_the_guide")
def test_the_part_of_the_guide_measures_its_quantity_and_shows_it():
    page = _page("memory", "variants")
    assert "How much memory does it take?" in page
    assert page.count("1024") >= len(STUDY.variants)
