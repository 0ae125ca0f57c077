"""Tables for a paper: chosen columns, the user's names, quality alone, and captions of one sentence."""

import csv
import re

import pytest
from support.command import PLUGINS
from support.damage import called
from support.made_comparisons import BUSY, setting_records
from support.made_duels import save_duel, stored_duel
from support.made_records import backends, made_own, made_record, seeds_of, two_configurations
from support.made_runs import compared, findings_of
from support.records import save_runs

from harness.core.documents.render.terminal import terminal_text
from harness.core.runs.record import TaskRecord
from harness.errors import UsageError
from harness.learning.runs.page import findings_document


@pytest.fixture
def results(tmp_path):
    save_runs(tmp_path, *two_configurations(interference=BUSY))
    return tmp_path


def shown(results, *options):
    code, output = called("compare", "--results", results, *options)
    assert code == 0, output
    return output


def refused(*arguments):
    code, output = called(*arguments)
    assert (code, output.count("\n") <= 2) == (2, True), output
    return output


def test_the_tables_of_compare_have_the_columns_that_are_asked_for(results):
    text = shown(results, "--columns", "test accuracy,seeds")
    assert re.search(r"^configuration  test accuracy \(%\)  seeds$", text, re.MULTILINE)
    assert "step (ms)" not in text
    assert "peak memory" not in text
    assert "jax:eager" in shown(results, "--columns", "peak memory (MiB)")


def test_a_wrong_column_is_refused_with_the_nearest(results):
    for arguments in (
        ["compare"],
        ["report", "--to", results / "r.tex"],
        ["report", "--to", results / "r.md"],
    ):
        output = refused(*arguments, "--results", results, "--columns", "seed")
        assert "Did you mean 'seeds'?" in output
    output = refused("report", "--to", results / "r.csv", "--results", results, "--columns", "sed")
    assert "Did you mean 'seed'?" in output


def test_a_table_of_runs_has_the_columns_that_are_asked_for(results):
    assert (
        called("report", "--to", results / "r.csv", "--results", results, "--columns", "seed,backend")[0] == 0
    )
    with (results / "r.csv").open() as file:
        header, *rows = csv.reader(file)
    assert header == ["seed", "backend"]
    assert len(rows) == len(two_configurations())


@pytest.mark.parametrize("option", [["--label", "torch=T"], ["--quality-only"], ["--hide-busy"]])
def test_what_is_for_findings_is_refused_elsewhere(results, option):
    assert "for findings" in refused("report", "--to", results / "r.csv", "--results", results, *option)
    duel = save_duel(results, stored_duel())
    assert "for reports of runs" in refused("report", duel, "--to", results / "d.md", *option)
    assert "--by is for reports of runs" in refused("report", duel, "--to", results / "d.md", "--by", "mode")


def test_busy_columns_are_left_out(results):
    text = shown(results, "--hide-busy")
    table = text.partition("configuration  ")[2].partition("\n\n")[0]
    assert "(busy)" not in table
    assert "test accuracy (%)" in table
    assert "(busy)" in shown(results)


# Names.


def named(*records, **labels):
    (group,) = findings_of(*records, labels=labels).groups
    return group.comparison


@pytest.mark.parametrize(
    ("label", "name"), [("torch", "Ours:eager"), ("torch:eager", "Ours"), ("jax", "torch:eager")]
)
def test_configurations_have_the_users_names_in_all_that_is_said(label, name):
    labels = {label: "Ours"}
    document = findings_document(findings_of(*two_configurations(), labels=labels))
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
    assert "on Ours" in named(*runs, net="Ours").group.title
    big = seeds_of(made=made_own, accuracy=0.8, model="big", options={"depth": 2})
    names = {each.name for each in named(*runs, *big, net="Ours").summaries}
    assert names == {"Ours width=64", "Ours width=128", "big"}


def test_names_that_nothing_has_or_that_two_would_have_are_refused(results):
    output = refused("compare", "--results", results, "--label", "torhc:eager=Ours")
    assert "Did you mean 'torch:eager'?" in output
    both = ["--label", "torch:eager=Ours", "--label", "jax:eager=Ours"]
    assert "2 configurations 'Ours'" in refused("compare", "--results", results, *both)
    assert "NAME=TEXT" in refused("compare", "--results", results, "--label", "torch")


# Quality alone.


def test_quality_alone_shows_nothing_that_is_timed(results):
    text = shown(results, "--quality-only")
    for timed in ("step", "training (s)", "(busy)", "duel", "fastest", "s]"):
        assert timed not in text.partition("Cautions")[0]
    assert "has the best validation accuracy" in text
    assert "accuracy (%)" in text


def test_quality_alone_compares_with_the_best_by_validation_and_keeps_the_proofs():
    own = {"jax": {"step": 0.005, "held_out": (2.0, 1.9)}, "torch": {"held_out": (2.0, 1.0), "accuracy": 0.7}}
    pairs = compared(*backends(own), quality_only=True).pairs
    assert [(pair.reference.name, pair.ratio, pair.quality_verdict) for pair in pairs] == [
        ("torch:eager", None, "worse")
    ]
    assert not compared(*backends(own, certificate=None), quality_only=True).pairs
    losses = {name: {"first_losses": [[2.3], [second]]} for name, second in (("torch", 2.0), ("jax", 2.05))}
    assert compared(*backends(losses), quality_only=True).different


def test_settings_without_times_keep_their_order():
    records = setting_records("adam", "sgd")
    timed, untimed = compared(*records), compared(*records, quality_only=True)
    assert [each.name for each in timed.summaries] == [each.name for each in untimed.summaries]


def test_a_label_and_a_wrong_one_are_those_of_the_python_function():
    with pytest.raises(UsageError, match="unknown configuration"):
        findings_of(*two_configurations(), labels={"keras": "K"})


# LaTeX.


def test_captions_are_one_sentence_and_legends_stand_below(results):
    given = ["--label", "torch:eager=Ours", "--columns", "test accuracy,seeds"]
    code, output = called("report", "--to", results / "r.tex", "--results", results, *given)
    assert code == 0, output
    source = (results / "r.tex").read_text()
    captions = re.findall(r"\\caption\{(.*)\}$", source, re.MULTILINE)
    assert captions
    for caption in captions:
        assert caption.count(". ") == 0
        assert caption.endswith(".")
    assert "Ours & 60.2" in source
    assert ("Step time:" in source, "Training:" in source) == (False, False)
    assert source.count(r"\begin{table}") == 1
    assert r"configuration & test accuracy (\%) & seeds" in source
    assert r"\footnotesize" in source


# Plugins.


def test_a_task_of_a_plugin_is_told_from_its_defaults(harness):
    task = TaskRecord("sorting", 1, {}, "0" * 64, made_record().task.description)
    save_runs(harness.folder / "results", *(made_record(seed=seed, task=task) for seed in range(2)))
    for command in (["compare"], ["report", "--to", "r.md"]):
        for plugin, is_known in ([], False), (["--plugin", str(PLUGINS / "odd_data.py")], True):
            text = harness.ok(*command, *plugin).stdout
            text = (harness.folder / "r.md").read_text() if command[0] == "report" else text
            assert ("the defaults of sorting are not known here" in text) != is_known
