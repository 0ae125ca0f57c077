"""``harness study``: continuing, budgets, remedies that are left out, and its page."""

import re
import signal
import sys

import pytest
from support.damage import called
from support.pages import module
from support.processes import ended

QUICK = ("--epochs", "1", "--threads", "1", "--no-certify")
ON_MLP = ("--task", "mlp", "--backend", "faulty:ok")
IMBALANCE = ("study", "imbalance", *ON_MLP)
OVERFITTING = ("study", "overfitting")


def executed(harness, *call):
    """How many runs a call has added, and the call."""
    before = len(harness.records())
    done = harness.ok(*call)
    return len(harness.records()) - before, done


def options_of(records, *names):
    return {tuple(record["task"]["options"][name] for name in names) for record in records}


@pytest.mark.slow
def test_a_study_goes_on_where_it_stopped(harness):
    runs, first = executed(harness, *IMBALANCE, *QUICK, "--seeds", "1")
    assert runs == 4
    assert "mlp faulty:ok seed 0 (class weights)" in first.stderr
    assert options_of(harness.records(), "rebalance") == {("none",), ("weights",), ("oversample",)}
    runs, again = executed(harness, *IMBALANCE, *QUICK, "--seeds", "2", "--quiet")
    assert (runs, again.stderr) == (4, "")
    for words in ("class weights", "oversampling", "all data", "rebalance=weights"):
        assert words in again.stdout
    record = again.stdout.rstrip().splitlines()[-1].removeprefix("Record: ")
    assert record.startswith("results/studies/imbalance-mlp-")
    assert "class weights" in harness.ok("show", record).stdout
    page = record.removesuffix(".json") + ".html"
    assert f"Page:   {page}" in again.stdout
    assert "oversampling" in (harness.folder / page).read_text()


@pytest.mark.long
def test_runs_of_another_device_or_without_a_certificate_are_repeated(harness):
    call = (*IMBALANCE, "--epochs", "1", "--seeds", "1", "--variants", "thinned,class weights")
    assert executed(harness, *call, "--no-certify")[0] == 2
    assert executed(harness, *call, "--no-certify")[0] == 0
    for other in (("--no-certify", "--device", "cpu"), ()):
        assert executed(harness, *call, *other)[0] == 2


@pytest.mark.slow
def test_a_budget_ends_trials_and_seeds(harness):
    size = ("--optimizers", "adam,sgd", "--trials", "3", "--seeds", "3")
    study = ("study", "optimizers", *ON_MLP, *QUICK, *size)
    done = harness.ok(*study, "--budget", "1s")
    made = re.findall(r"The budget allows (\d) (trial|seed)s?", done.stderr)
    assert made, done.stderr
    allowed = {"trial": 3, "seed": 3} | {what: int(count) for count, what in made}
    assert len(harness.records()) == 2 * sum(allowed.values())
    assert executed(harness, *study)[0] == 2 * (6 - sum(allowed.values())), "without a limit it goes on"


def test_the_kinds_of_study_are_listed_with_their_remedies(quick, snapshot):
    done = quick("study", "--list", COLUMNS="100")
    assert (done.returncode, done.stderr, done.stdout) == (0, "", snapshot)


@pytest.mark.parametrize("asked", [(), ("--jobs", "1"), ("--quiet",)])
def test_times_of_runs_made_at_once_are_named_as_left_out(quick, asked):
    """Before anything runs: the unknown variant is refused."""
    refused = quick("study", "optimizers", "--backend", "torch", "--variants", "nothing", *asked)
    assert refused.returncode == 2
    said = "Runs made at once share the machine. Left out: time to target and time\n"
    assert refused.stderr.count(said) == (asked != ("--quiet",))


def test_a_termination_ends_a_study_as_ctrl_c_does(harness):
    hanging = [word.replace("faulty:ok", "faulty:hang") for word in IMBALANCE]
    call = (*hanging, "--seeds", "1", "--epochs", "2", *QUICK[2:])
    done = ended(harness, *call, when=lambda: _has_run(harness), by=signal.SIGTERM)
    assert done.returncode == 130, done.stderr
    assert {record["status"] for record in harness.records()} == {"interrupted"}
    assert "Record: results/studies/" in done.stdout


def _has_run(harness):
    return any((harness.folder / "results" / "runs").glob("*"))


def left_out(done):
    """The remedies that a study does without."""
    lines = [line.split(" is left out: ") for line in done.stderr.splitlines() if "left out" in line]
    return [line[0].removeprefix("Remedy ") for line in lines]


def test_a_remedy_whose_option_the_user_gives_is_left_out(harness):
    given = ("--set", "train_fraction=0.2", "--set", "dropout=0.1")
    done = harness.ok(*OVERFITTING, *ON_MLP, *QUICK, "--seeds", "1", "--trials", "1", *given)
    assert left_out(done) == ["dropout", "augmentation", "half the data"]
    assert options_of(harness.records(), "train_fraction", "dropout") == {(0.2, 0.1)}
    assert {bool(l2) for (l2,) in options_of(harness.records(), "l2")} == {True, False}


@pytest.mark.long
def test_a_remedy_that_a_task_of_a_third_party_cannot_take_is_left_out(harness):
    pytest.importorskip("torch")
    code = module("docs/how-to/add-a-task.md", "my_task")
    number = 'learning_rate: Annotated[float, Meta(gt=0, description="step size")] = 0.05'
    assert number in code
    more = f"{number}\n    width: int = 64\n    train_fraction: Annotated[float, Meta(gt=0.3, le=1)] = 1.0"
    code = code.replace("epochs=10,", "epochs=10, train_fraction=options.train_fraction,")
    (harness.folder / "my_task.py").write_text(code.replace(number, more))
    own = ("--task", "logistic", "--plugin", "my_task.py", "--backend", "torch")
    call = (*OVERFITTING, *own, "--seeds", "1")
    runs, done = executed(harness, *call, "--epochs", "1", "--no-certify")
    assert (runs, "smaller network" in left_out(done)) == (2, True)
    assert "half the data" in done.stdout
    refused = harness(*call, "--set", "learning_rate=-1")
    assert (refused.returncode, len(harness.records())) == (2, 2)


@pytest.mark.slow
def test_optimizers_are_tuned_and_then_compared_on_other_seeds(harness):
    choice = ("--optimizers", "adam,sgd", "--trials", "2", "--seeds", "3")
    runs, done = executed(harness, "study", "optimizers", *ON_MLP, *QUICK, *choice)
    records = harness.records()
    assert runs == 4 + 2 * 3
    assert sorted(record["seed"] for record in records) == [0, 0, 1, 1, 2, 2] + [10_000] * 4
    tried, compared = (
        options_of([each for each in records if (each["seed"] < 3) == final], "optimizer", "learning_rate")
        for final in (False, True)
    )
    assert (len(tried), len(compared), compared <= tried) == (4, 2, True)
    assert "Validation accuracy of the trials" in done.stdout
    assert executed(harness, "study", "optimizers", *ON_MLP, *QUICK, *choice)[0] == 0
    assert "optimizers" in harness.ok("compare").stdout


@pytest.mark.long
def test_a_kind_of_study_can_be_a_plugin_file(harness):
    code = module("docs/how-to/add-a-kind-of-study.md", "my_study")
    (harness.folder / "my_study.py").write_text(code)
    call = ("study", "widths", "--backend", "faulty:ok", "--plugin", "my_study.py", *QUICK)
    runs, done = executed(harness, *call, "--trials", "1", "--seeds", "2")
    assert (runs, "double" in done.stdout) == (3 + 3 * 2, True)
    record = done.stdout.rstrip().splitlines()[-1].removeprefix("Record: ")
    assert "double" in harness.ok("show", record).stdout  # which contains its kind, and needs no plugin


@pytest.mark.long
def test_a_study_of_two_tasks_ends_with_ranks_and_a_page(harness):
    choice = ("--task", "mlp,rnn", "--optimizers", "adam,sgd", "--trials", "1", "--seeds", "1")
    done = harness.ok("study", "optimizers", "--backend", "faulty:ok", *QUICK, *choice)
    assert "mean rank" in done.stdout
    page = harness.folder / "results" / "studies" / "optimizers-mlp-rnn.html"
    assert "Rank of each optimizer by task" in page.read_text()


@pytest.mark.parametrize(
    ("kind", "module", "extra", "further"),
    [("privacy", "dp_accounting", "privacy", ()), ("optimizers", "optuna", "tune", ("--sampler", "tpe"))],
)
def test_a_missing_library_is_named_before_the_first_run(kind, module, extra, further, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    command = ("study", kind, "--task", "mlp", "--backend", "torch", "--quick", "--no-certify", "--quiet")
    code, output = called(*command, *further, "--results", tmp_path)
    assert (code, f'pip install "dl-harness[{extra}]"' in output) == (2, True)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
