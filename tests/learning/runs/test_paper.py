"""Findings in LaTeX: tables that a parser takes, and escaped text."""

import re

import pytest
from support.made_comparisons import of_optimizers
from support.made_records import made_record, two_configurations
from support.made_runs import findings_of
from support.made_study import STUDY, made_study_records

from harness.core.documents.document import Cell, Table
from harness.core.documents.render.latex import for_latex, latex_table
from harness.learning.runs.paper import write_paper

_TOKEN = re.compile(r"\\[a-zA-Z]+|\\.|%[^\n]*|[{}$&#_^~]|[^\\{}$&#_^~%]+", re.DOTALL)


def parsed(source):
    """The rows of cells of each tabular; braces, environments and mathematics must be balanced.

    A character that LaTeX reserves may stand where it has its meaning alone.
    """
    depth, is_maths, environments, tables, argument = 0, False, [], [], None
    tokens = [part for part in _TOKEN.findall(source) if not part.startswith("%")]
    assert "".join(_TOKEN.findall(source)) == source
    for place, part in enumerate(tokens):
        if part in {r"\begin", r"\end"}:
            argument = (part, tokens[place + 2])
        if part == "}" and argument:
            kind, name = argument
            if kind == r"\begin":
                environments.append(name)
                tables += [[[""]]] if name == "tabular" else []
            else:
                assert environments.pop() == name
            argument = None
        elif environments and environments[-1] == "tabular":
            if part == "&":
                tables[-1][-1].append("")
            elif part == r"\\":
                tables[-1].append([""])
            else:
                tables[-1][-1][-1] += part
        else:
            assert part not in {"&", "#", "_", "^"}, source
        depth += {"{": 1, "}": -1}.get(part, 0)
        assert depth >= 0
        is_maths ^= part == "$"
    assert (depth, is_maths, environments) == (0, False, [])
    return tables


NASTY = r"50 % of a_b & c#1 {x} ~ ^ \input{x} $1 <b> [2−3] ±1 × 2"


def test_reserved_characters_are_escaped():
    assert for_latex("a_b & 5 %") == r"a\_b \& 5 \%"
    table = Table([NASTY, "b"], [[NASTY, Cell(NASTY)], ["[1, 2]", ""]], NASTY, (NASTY,))
    (rows,) = parsed(latex_table(table, "tab:a"))
    assert [len(row) for row in rows[:-1]] == [2, 2, 2]
    assert r"\input" not in latex_table(table, "tab:a")
    assert "{}[1, 2]" in rows[2][0]


@pytest.mark.parametrize(
    ("records", "studies"),
    [
        (two_configurations(), []),
        (of_optimizers({"adam": 0.5, "sgd": 0.5}), []),
        ([made_record()], []),
        ([*made_study_records()], [STUDY]),
    ],
    ids=["frameworks", "settings", "alone", "study"],
)
def test_each_row_has_its_cells(records, studies, tmp_path):
    write_paper(findings_of(*records, studies=studies), tmp_path / "r.tex")
    source = (tmp_path / "r.tex").read_text()
    tables = parsed(source)
    assert tables
    for first, *rows in tables:
        assert {len(row) for row in rows[:-1]} == {len(first)}
    assert source.count(r"\toprule") == source.count(r"\bottomrule") == len(tables)
    assert source.count(r"\label{tab:harness-study-") == len(studies)
