"""``harness study``: continuing, budgets, remedies that are left out, and refusals."""

import signal

import pytest
from support.pages import module
from support.processes import wait_until

IMBALANCE = ("study", "imbalance", "--task", "mlp", "--backend", "faulty:ok")
OVERFITTING = ("study", "overfitting", "--task", "mlp", "--backend", "faulty:ok")


def test_a_study_goes_on_where_it_stopped(harness):
    call = (*IMBALANCE, "--epochs", "2", "--threads", "1", "--no-certify")
    first = harness(*call, "--seeds", "1")
    assert first.returncode == 0, first.stderr
    assert "0 of 4 runs are already recorded" in first.stderr
    assert "mlp faulty:ok seed 0 (class weights): test accuracy" in first.stderr
    assert {record["task"]["options"]["rebalance"] for record in harness.records()} == {
        "none",
        "weights",
        "oversample",
    }
    again = harness(*call, "--seeds", "2", "--quiet")
    assert again.returncode == 0, again.stderr
    assert again.stderr == ""
    assert len(harness.records()) == 8
    for words in ("class weights", "oversampling", "all data", "rebalance=weights"):
        assert words in again.stdout
    record = again.stdout.rstrip().splitlines()[-1].removeprefix("Record: ")
    assert record.startswith("results/studies/imbalance-mlp-")
    shown = harness("show", record)
    assert shown.returncode == 0, shown.stderr
    assert "class weights" in shown.stdout
    page = record.removesuffix(".json") + ".html"
    assert f"Page:   {page}" in again.stdout
    assert "Draws the samples of rare classes more often." in (harness.folder / page).read_text()


def test_the_kinds_of_study_are_listed_with_their_remedies(quick):
    done = quick("study", "--list")
    assert (done.returncode, done.stderr) == (0, "")
    for words in ("harness study overfitting", "dropout=0.1:0.7", "harness study imbalance", "rmsprop"):
        assert words in done.stdout


def test_a_termination_ends_a_study_as_ctrl_c_does(harness):
    call = ("study", "imbalance", "--task", "mlp", "--backend", "faulty:hang", "--seeds", "1")
    process = harness.start(*call, "--epochs", "2", "--threads", "1", "--no-certify")
    wait_until(harness.records)
    process.send_signal(signal.SIGTERM)
    stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert [record["status"] for record in harness.records()] == ["interrupted"]
    assert "Record: results/studies/" in stdout


def test_runs_of_another_device_or_without_a_certificate_are_repeated(harness):
    call = (*IMBALANCE, "--epochs", "1", "--seeds", "1")
    assert "0 of 4 runs are already recorded" in harness(*call, "--no-certify").stderr
    assert "4 of 4 runs are already recorded" in harness(*call, "--no-certify").stderr
    for other in (("--no-certify", "--device", "cpu"), ()):
        assert "0 of 4 runs are already recorded" in harness(*call, *other, "--budget", "0.001").stderr


def test_a_remedy_whose_option_the_user_gives_is_left_out(harness):
    call = (*OVERFITTING, "--epochs", "1", "--seeds", "1", "--trials", "1", "--no-certify")
    done = harness(*call, "--set", "train_fraction=0.2", "--set", "dropout=0.1")
    assert done.returncode == 0, done.stderr
    left_out = [line.split(" is left out: ")[0] for line in done.stderr.splitlines() if "left out" in line]
    assert left_out == ["Remedy dropout", "Remedy half the data"]
    assert "--set dropout sets the option that it changes" in done.stderr
    options = [record["task"]["options"] for record in harness.records()]
    assert {(values["train_fraction"], values["dropout"]) for values in options} == {(0.2, 0.1)}
    assert {bool(values["l2"]) for values in options} == {True, False}


def test_a_remedy_that_a_task_of_a_third_party_cannot_take_is_left_out(harness):
    pytest.importorskip("torch")
    code = module("docs/how-to/add-a-task.md", "my_task")
    number = 'learning_rate: Annotated[float, Meta(gt=0, description="step size")] = 0.05'
    assert number in code
    more = f"{number}\n    width: int = 64\n    train_fraction: Annotated[float, Meta(gt=0.3, le=1)] = 1.0"
    code = code.replace("epochs=10,", "epochs=10, train_fraction=options.train_fraction,")
    (harness.folder / "my_task.py").write_text(code.replace(number, more))
    call = ("study", "overfitting", "--task", "logistic", "--plugin", "my_task.py", "--backend", "torch")
    done = harness(*call, "--epochs", "1", "--seeds", "1", "--no-certify")
    assert done.returncode == 0, done.stderr
    assert "Remedy smaller network is left out: the task does not accept it: --set width=" in done.stderr
    assert "half the data" in done.stdout
    assert len(harness.records()) == 2
    refused = harness(*call, "--set", "learning_rate=-1")
    assert (refused.returncode, len(harness.records())) == (2, 2)


def test_a_budget_stops_a_study_in_time(harness):
    done = harness(*IMBALANCE, "--epochs", "1", "--no-certify", "--budget", "0.001")
    assert done.returncode == 0, done.stderr
    assert len(harness.records()) == 1


OPTIMIZERS = (
    "study",
    "optimizers",
    "--task",
    "mlp",
    "--backend",
    "faulty:ok",
    "--epochs",
    "2",
    "--no-certify",
)


def test_optimizers_are_tuned_and_then_compared_on_other_seeds(harness):
    call = (*OPTIMIZERS, "--threads", "1", "--optimizers", "adam,sgd", "--trials", "2", "--seeds", "3")
    done = harness(*call)
    assert done.returncode == 0, done.stderr
    assert "mlp: 4 trials of 2 optimizers, then 6 runs (3 seeds of each variant)" in done.stderr
    assert "so the study takes about" in done.stderr
    records = harness.records()
    assert sorted(record["seed"] for record in records) == [0, 0, 1, 1, 2, 2] + [10_000] * 4
    tried = {
        (record["task"]["options"]["optimizer"], record["task"]["options"]["learning_rate"])
        for record in records
        if record["seed"] == 10_000
    }
    assert len(tried) == 4
    compared = {
        (record["task"]["options"]["optimizer"], record["task"]["options"]["learning_rate"])
        for record in records
        if record["seed"] < 3
    }
    assert compared <= tried
    assert len(compared) == 2
    assert "Validation accuracy of the trials" in done.stdout
    again = harness(*call)
    assert again.returncode == 0, again.stderr
    assert len(harness.records()) == len(records)
    compared = harness("compare")
    assert compared.returncode == 0, compared.stderr
    assert "optimizers" in compared.stdout


def test_a_kind_of_study_can_be_a_plugin_file(harness):
    code = module("docs/how-to/add-a-kind-of-study.md", "my_study")
    (harness.folder / "my_study.py").write_text(code)
    call = ("study", "widths", "--backend", "faulty:ok", "--plugin", "my_study.py", "--no-certify")
    done = harness(*call, "--epochs", "1", "--trials", "1", "--seeds", "2")
    assert done.returncode == 0, done.stderr
    assert "double" in done.stdout
    assert len(harness.records()) == 3 + 3 * 2
    record = done.stdout.rstrip().splitlines()[-1].removeprefix("Record: ")
    shown = harness("show", record)  # which contains its kind, and needs no plugin
    assert shown.returncode == 0, shown.stderr
    assert "double" in shown.stdout


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("overfiting", "--backend", "torch"), "unknown study 'overfiting'"),
        (("optimizers", "--backend", "torch", "--optimizers", "adma"), "unknown optimizer 'adma'"),
        (("optimizers", "--backend", "torch", "--search", "x"), "KEY=LOW:HIGH"),
        (("imbalance", "--backend", "torch", "--task", "lm"), "has no option imbalance"),
    ],
)
def test_what_cannot_be_a_study_is_refused(harness, words, message):
    done = harness("study", *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert not harness.records()


def test_a_study_of_two_tasks_ends_with_ranks_and_a_page(harness):
    call = (
        "study",
        "optimizers",
        "--task",
        "mlp,rnn",
        "--backend",
        "faulty:ok",
        "--optimizers",
        "adam,sgd",
    )
    done = harness(*call, "--trials", "1", "--seeds", "1", "--epochs", "1", "--threads", "1", "--no-certify")
    assert done.returncode == 0, done.stderr
    assert "mean rank" in done.stdout
    page = harness.folder / "results" / "studies" / "optimizers-mlp-rnn.html"
    assert "Performance profiles" in page.read_text()
