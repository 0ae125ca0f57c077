"""Sections that features add to a report of runs."""

from harness.core.shell import features
from harness.core.shell.features import Feature
from harness.learning.runs.sections import AddedSections, sections_from


def fails(_groups, _folders):
    raise ZeroDivisionError("in a section")


def adds(_groups, folders):
    return AddedSections(unreadable=[str(folder) for folder in folders])


def test_sections_of_a_feature_that_raise_are_left_out_and_named(monkeypatch, capsys, tmp_path):
    places = tuple(f"{__name__}:{function.__name__}" for function in (fails, adds))
    monkeypatch.setattr(features, "features", lambda: (Feature("half", "Half", report_sections=places),))
    (add,) = sections_from([tmp_path])
    assert add([]).unreadable == [str(tmp_path)]
    assert f"{places[0]}: ZeroDivisionError: in a section" in capsys.readouterr().err.replace("\n", " ")
