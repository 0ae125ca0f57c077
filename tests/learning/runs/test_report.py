"""The commands compare, report and show on made-up records: what they write, skip and refuse."""

import os
import re
from collections import defaultdict

import msgspec
import pandas as pd
import pytest
from support.made_comparisons import BUSY
from support.made_records import made_record, seeds_of
from support.made_runs import findings_of, made_runs
from support.pages import blocks
from support.records import MACHINE, make_unfinished_record, save_runs

import harness as package
from harness.core.documents.document import Paragraph, Section, shown
from harness.core.machine.description import GitState
from harness.core.machine.usage import Interference
from harness.core.runs.record import DatasetRecord, Evaluation
from harness.learning.runs.method import caveats
from harness.learning.runs.page import findings_document, overfitting_sentences
from harness.learning.runs.tables import runs_list


def _pairs(**changes):
    return [*seeds_of("jax", step=0.005, **changes), *seeds_of("torch", **changes)]


@pytest.fixture
def filled(harness):
    save_runs(harness.folder / "results", *_pairs())
    return harness


def test_compare_in_full_has_phases_memory_and_criteria(filled):
    short, full = filled("compare").stdout, filled("compare", "--verbose").stdout
    for words in ("final loss above lowest (%)", "first step (s)", "peak memory (MiB)"):
        assert words in full
        assert words not in short


def test_several_tasks_have_a_heading_each(harness):
    rnn = msgspec.structs.replace(made_record().task, name="rnn")
    save_runs(harness.folder / "results", *_pairs(), *_pairs(task=rnn), *_pairs(threads=1))
    lines = harness("compare").stdout.splitlines()
    assert [lines[index - 1] for index, line in enumerate(lines) if line.startswith("==")] == ["cnn", "rnn"]


@pytest.mark.parametrize(
    "arguments", [("compare",), ("report", "--to", "r.csv", "--to", "r.md"), ("report", "--to", "r.html")]
)
def test_a_file_that_cannot_be_read_is_named_once_counted_and_reported_by_the_exit_code(filled, arguments):
    for name in ("a", "b"):
        (filled.folder / "results" / "runs" / f"{name}.json").write_text("{")
    done = filled(*arguments)
    assert done.returncode == 1
    assert done.stderr.count("results/runs/a.json") == 1
    assert "2 files were skipped" in done.stderr


def test_groups_that_are_not_shown_are_counted():
    records = [made_record(inherited_variables={"XLA_FLAGS": str(number)}) for number in range(15)]
    document = findings_document(findings_of(*records))
    (hidden,) = [node for node in shown(document.nodes, "terminal") if isinstance(node, Paragraph)]
    assert hidden.text.startswith("3 more groups")
    tasks = [node for node in document.nodes if isinstance(node, Section) and node.id.startswith("task")]
    assert sum(isinstance(node, Section) for task in tasks for node in task.nodes) == 12


def test_all_runs_failed(harness):
    save_runs(harness.folder / "results", make_unfinished_record())
    done = harness("compare")
    assert done.returncode == 0
    assert "Left out\n- 1 run of cnn" in done.stdout
    assert harness("report", "--to", "r.html").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("compare", "tsk=cnn"), "Did you mean 'task'?"),
        (("compare", "task=rnn"), "Present: task cnn (6)"),
        (("report", "--to", "report.pdf"), "use one of .html, .md, .csv, .parquet, .tex"),
        (("report", "--to", "no/such/folder/r.html"), "the folder no/such/folder does not exist"),
        (("report", "--to", "r.csv", "--to", "r.pdf"), "--to r.pdf: unknown suffix"),
        (("compare", "--results", "nowhere"), "no records in nowhere/runs"),
        (("compare", "--margin", "nan"), "nan is not a finite number"),
        (("compare", "--target", "inf"), "inf is not a finite number"),
    ],
)
def test_refusals_take_a_line_and_write_nothing(filled, arguments, message):
    done = filled(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (filled.folder / "r.csv").exists()


@pytest.mark.long
def test_a_name_without_a_suffix_is_a_folder_of_pictures(filled):
    done = filled("report", "task=cnn", "--to", "pictures")
    assert (done.returncode, done.stdout) == (0, "pictures\n"), done.stderr
    names = {path.name for path in (filled.folder / "pictures").iterdir()}
    assert {"comparison-1-loss.svg", "comparison-1-loss.png", "comparison-1-curves.png"} <= names


def test_a_missing_library_is_named_with_its_extra(filled):
    (filled.folder / "vl_convert.py").write_text("raise ModuleNotFoundError('no', name='vl_convert')")
    path = os.pathsep.join([str(filled.folder), filled.environment["PYTHONPATH"]])
    done = filled("report", "--to", "r.html", PYTHONPATH=path)
    assert done.returncode == 2
    assert 'pip install "dl-harness[report]"' in done.stderr
    assert "Traceback" not in done.stderr


def test_every_file_is_written_and_tables_hold_a_row_a_run(filled):
    done = filled("report", "--to", "r.html", "--to", "r.csv", "--to", "r.md", "--to", "r.csv")
    assert (done.returncode, done.stdout, done.stderr) == (0, "r.html\nr.csv\nr.md\n", "")
    assert (filled.folder / "r.html").stat().st_size
    text = (filled.folder / "r.md").read_text()
    assert text.count("Ratios are relative") == 1
    pictures = re.findall(r"!\[\w+\]\(([^)]+)\)", text)
    assert pictures
    assert all("<svg" in (filled.folder / picture).read_text() for picture in pictures)
    assert pd.read_csv(filled.folder / "r.csv")["backend"].value_counts().to_dict() == {"jax": 3, "torch": 3}


def test_notebook_users_get_frames_and_charts(filled):
    report = package.compare("task=cnn", results=filled.folder / "results")
    assert report.configurations["step_seconds"].tolist() == pytest.approx([0.005, 0.01])
    assert report.pairs.loc[0, ["configuration", "reference"]].tolist() == ["torch:eager", "jax:eager"]
    assert report.pairs.loc[0, ["speed", "quality"]].tolist() == ["slower", "equal"]
    assert report.pairs.loc[0, "step_ratio"] == pytest.approx(2.0)
    assert report.overfitting["onset_epoch"].tolist() == [0, 0]
    assert report.charts["comparison-1-time"].to_dict()["layer"]
    shown = report._repr_html_()
    answer, overfitting = report.headlines[0], overfitting_sentences(report.findings)[0]
    assert shown.index(answer[:40]) < shown.index("<svg") < shown.index(overfitting[:30])
    output = report.charts["comparison-1-time"]._repr_mimebundle_()
    assert "<svg" in output["image/svg+xml"]
    assert "cdn" not in str(output)


def test_accuracies_are_fractions_in_every_frame(filled):
    results = filled.folder / "results"
    runs = package.load_results(results).query("task == 'cnn'").groupby("backend")
    report = package.compare("task=cnn", results=results, margin=0.07, target=0.01)
    scores = report.configurations.assign(backend=lambda frame: frame.configuration.str.partition(":")[0])
    scores = scores.set_index("backend")
    for column, recorded in (("test_score", "test_accuracy"), ("validation_score", "validation_accuracy")):
        assert scores[column].to_dict() == pytest.approx(runs[recorded].mean().to_dict())
        assert (scores[f"{column}_low"] <= scores[column]).all()
        assert (scores[f"{column}_high"] >= scores[column]).all()
    (pair,) = report.pairs.to_dict("records")
    assert pair["difference"] == pytest.approx(scores.test_score["torch"] - scores.test_score["jax"])
    assert pair["margin"] == pytest.approx(0.07)
    gaps = report.overfitting.set_index("configuration")["gap"]
    assert gaps["torch:eager"] == pytest.approx(runs["generalization_gap"].mean()["torch"])
    assert set(report.configurations["epochs_to_target"]) == {1.0}  # every run reaches 1 % at once


def test_the_examples_for_notebooks_run(filled, monkeypatch):
    monkeypatch.chdir(filled.folder)
    for example in blocks("docs/how-to/read-results-in-a-notebook.md", "python"):
        exec(example.text, {})  # noqa: S102


def test_a_configuration_has_one_colour_in_every_chart(harness):
    save_runs(harness.folder / "results", *_pairs(), *seeds_of(threads=1))
    charts = package.compare(results=harness.folder / "results").charts
    colours = defaultdict(set)
    for name, chart in charts.items():
        if not name.endswith("phases"):
            for layer in (layer for layer in chart.to_dict()["layer"] if "color" in layer["encoding"]):
                scale = layer["encoding"]["color"]["scale"]
                for configuration, colour in zip(scale["domain"], scale["range"], strict=True):
                    colours[configuration].add(colour)
    assert {name: len(used) for name, used in colours.items()} == {"jax:eager": 1, "torch:eager": 1}
    assert colours["jax:eager"] != colours["torch:eager"]


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({}, 0),
        ({"interference": BUSY}, 1),
        ({"dataset": DatasetRecord("digits", "f" * 64, stands_in_for="cifar10", reason="no network")}, 1),
        ({"machine": msgspec.structs.replace(MACHINE, git=GitState("abc", dirty=True))}, 1),
    ],
)
def test_what_the_records_say_against_their_figures_are_caveats(changes, number, snapshot):
    """Besides that there are few seeds."""
    found = caveats(findings_of(*_pairs(**changes)))
    assert len(found) == number + 1
    assert found == snapshot


def test_every_time_of_a_busy_machine_is_marked_in_the_list_of_runs():
    loads = [Interference(cpus=2, others=others, seconds=60.0) for others in (1.7, 0.01)]
    runs = made_runs(*(made_record(interference=load) for load in loads))
    texts = ["\n".join(map(str, runs_list([run]).rows[0])) for run in runs]
    assert [text.count("(busy)") for text in texts] == [2, 0]


def test_a_run_that_scored_nothing_is_compared(quick):
    unscored = {"epochs": [], "best_epoch": None, "test_at_last": None, "test_at_best": None}
    save_runs(quick.folder / "results", made_record(evaluation=Evaluation(every_epochs=None), **unscored))
    assert quick("compare").returncode == 0
