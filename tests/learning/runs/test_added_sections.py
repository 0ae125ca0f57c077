"""Sections that features add to a report of runs."""

from harness.core.documents.document import Table
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


class Section:
    """A section whose drawing raises."""

    prefix, task, configurations, table = "half", "cnn", (), Table([], [])
    title = label = sentence = "Half"

    def nodes(self, _name):
        raise KeyError("nodes")

    def figures(self, _name):
        yield from ()
        raise KeyError("figures")


def half_drawn(_groups, _folders):
    return AddedSections([Section()])


def test_a_section_of_a_feature_whose_drawing_raises_names_itself(monkeypatch, capsys, tmp_path):
    feature = Feature("half", "Half", report_sections=(f"{__name__}:half_drawn",))
    monkeypatch.setattr(features, "features", lambda: (feature,))
    (add,) = sections_from([tmp_path])
    (section,) = add([]).sections
    assert (section.title, section.figures("half"), section.nodes("half")) == ("Half", [], [])
    said = capsys.readouterr().err.replace("\n", " ")
    for name in ("figures", "nodes"):
        assert f"section Half of {__name__}: KeyError: '{name}'" in said
