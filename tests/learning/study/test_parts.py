"""Parts of studies: a kind of study names those of the features that are present."""

import msgspec
import pytest
from support.made_runs import study_findings_of
from support.made_study import STUDY, made_study_records
from support.outline import outline
from support.pages import module

from harness.core.runs.record import Making
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


@pytest.mark.parametrize("making", [None, Making("forked", 2)])
def test_costs_of_runs_that_share_the_machine_are_named_and_not_shown(making):
    kind = msgspec.structs.replace(
        STUDY.kind, sections=("costs",), quantities=("parameters", "time", "memory")
    )
    changes = {} if making is None else {"making": making, "measured": {}}
    records = [msgspec.structs.replace(record, **changes) for record in made_study_records()]
    studies = [msgspec.structs.replace(STUDY, kind=kind)]
    page = outline(study_document(study_findings_of(*records, studies=studies)))
    assert "section: The costs" in page
    assert ("training time" in page) == (making is None)
    assert ("so nothing is said about time and memory." in page) == (making is not None)


def test_a_part_of_an_absent_feature_is_named():
    assert "Not shown: memory." in _page("effects", "memory")


@pytest.fixture
def add_parts(monkeypatch):
    """Adds parts to those of the features."""
    present, cached = [*parts.parts().values()], (parts.parts, parts.definitions)

    def add(*added):
        for each in cached:
            each.cache_clear()
        monkeypatch.setattr(parts, "hooked", lambda _hook: [present, added])

    yield add
    for each in cached:
        each.cache_clear()


def test_the_part_of_the_guide_measures_its_quantity_and_shows_it(add_parts):
    names = {}
    exec(module("docs/how-to/add-a-kind-of-study.md", "my_part"), names)  # noqa: S102
    add_parts(*names["PARTS"])
    page = _page("memory", "variants")
    assert "How much memory does it take?" in page
    assert page.count("1024") >= len(STUDY.variants)


def _raises(*_arguments):
    raise ZeroDivisionError("in a part")


def _draws(_study, _prefix):
    yield from ()
    raise ZeroDivisionError("in a chart")


def test_a_part_of_another_package_that_raises_shows_nothing_and_is_named(add_parts, capsys):
    fields = dict.fromkeys(("content", "headline", "remark"), _raises)
    add_parts(parts.Part("broken", "raises", **fields, charts=_draws))
    assert _page("broken", "effects") == _page("effects")
    broken = parts.parts()["broken"]
    assert ([*broken.charts(None, "")], broken.remark(None, None)) == ([], "")
    said = capsys.readouterr().err.replace("\n", " ")
    for name, where in (*dict.fromkeys(fields, "part").items(), ("charts", "chart")):
        assert f"{name}: ZeroDivisionError: in a {where}" in said
