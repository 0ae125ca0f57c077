"""Tables for a paper: chosen columns, the user's names, and captions of one sentence."""

import csv
import re

import pandas as pd
import pytest
from support.damage import called
from support.made_duels import save_duel, stored_duel
from support.made_records import made_own, made_setting, seeds_of, two_configurations
from support.made_runs import findings_of
from support.records import save_runs

from harness.core.documents.render.terminal import terminal_text
from harness.errors import UsageError
from harness.learning.runs.page import findings_document


@pytest.fixture
def results(tmp_path):
    save_runs(tmp_path, *two_configurations())
    return tmp_path


def refused(*arguments):
    code, output = called(*arguments)
    assert (code, output.count("\n") <= 2) == (2, True), output
    return output


def written(results, name, *options):
    code, output = called("report", "--to", results / name, "--results", results, *options)
    assert code == 0, output
    return results / name


def test_a_wrong_column_is_refused_with_the_nearest(results):
    for name, column, nearest in (("r.tex", "seed", "seeds"), ("r.csv", "sed", "seed")):
        output = refused("report", "--to", results / name, "--results", results, "--columns", column)
        assert f"Did you mean '{nearest}'?" in output
    output = refused("report", "--to", results / "r.html", "--results", results, "--columns", "seeds")
    assert "--columns is for .tex, .csv and .parquet" in output


def test_a_table_of_runs_has_the_columns_that_are_asked_for(results):
    with written(results, "r.csv", "--columns", "seed,backend").open() as file:
        header, *rows = csv.reader(file)
    assert header == ["seed", "backend"]
    assert len(rows) == len(two_configurations())


def test_an_option_of_two_types_is_a_text_in_parquet(tmp_path):
    save_runs(tmp_path, made_setting(0, odd=1), made_setting(1, odd="x"))
    frame = pd.read_parquet(written(tmp_path, "r.parquet"))
    assert sorted(frame["option_odd"]) == ["1", "x"]
    assert sorted(frame["seed"]) == [0, 1]


def test_a_report_of_a_duel_takes_no_options_of_runs(results):
    duel = save_duel(results, stored_duel())
    for option in (["--label", "torch=T"], ["--by", "mode"], ["--columns", "seeds"]):
        output = refused("report", duel, "--to", results / "d.md", *option)
        assert f"{option[0]} is for reports of runs" in output


@pytest.mark.parametrize(
    ("label", "name"), [("torch", "Ours:eager"), ("torch:eager", "Ours"), ("jax", "torch:eager")]
)
def test_configurations_have_the_users_names_in_all_that_is_said(label, name):
    document = findings_document(findings_of(*two_configurations(), labels={label: "Ours"}))
    text = terminal_text(document, 200, verbose=True).partition("Runs; harness show")[0]
    assert name in text
    assert ("torch:eager" in text) == (label == "jax")


def test_models_have_the_users_names_with_their_arguments_and_in_titles():
    runs = [
        record
        for width, accuracy in ((64, 0.6), (128, 0.7))
        for record in seeds_of(
            made=made_own, accuracy=accuracy, options={"width": 64}, arguments={"width": width}
        )
    ]
    (group,) = findings_of(*runs, labels={"net": "Ours"}).groups
    assert "on Ours" in group.comparison.group.title


def test_a_value_with_an_equals_sign_gets_a_name(tmp_path):
    runs = [
        record
        for rate, accuracy in ((0.1, 0.6), (0.2, 0.7))
        for record in seeds_of(made=made_setting, accuracy=accuracy, learning_rate=rate)
    ]
    save_runs(tmp_path, *runs)
    code, output = called("compare", "--results", tmp_path, "--label", "learning_rate=0.1=Small")
    assert code == 0, output
    assert "Small" in output


def test_names_that_nothing_has_or_that_two_would_have_are_refused(results):
    output = refused("compare", "--results", results, "--label", "torhc:eager=Ours")
    assert "Did you mean 'torch:eager'?" in output
    both = ["--label", "torch:eager=Ours", "--label", "jax:eager=Ours"]
    assert "2 configurations 'Ours'" in refused("compare", "--results", results, *both)
    assert "NAME=TEXT" in refused("compare", "--results", results, "--label", "torch")
    with pytest.raises(UsageError, match="unknown configuration"):
        findings_of(*two_configurations(), labels={"keras": "K"})


def test_captions_are_one_sentence_and_citations_have_a_source(results):
    path = written(results, "r.tex", "--label", "torch:eager=Ours", "--columns", "test accuracy,step")
    source = path.read_text()
    (caption,) = re.findall(r"\\caption\{(.*)\}$", source, re.MULTILINE)
    assert caption.count(". ") == 0
    assert caption.endswith(".")
    assert "Ours & 60.2" in source
    assert r"configuration & test accuracy (\%) & step (ms)" in source
    cited = set(re.findall(r"\\cite\{(\w+)\}", source))
    assert cited == set(re.findall(r"^@\w+\{(\w+),", path.with_suffix(".bib").read_text(), re.MULTILINE))
