"""``harness port`` and ``harness run --model`` on real frameworks, and what they say of wrong input."""

import json

import msgspec
import pytest
from support.command import PLUGINS
from support.planted_ports import MODELS, RIGHT, SINGLE, TRIPLE

from harness.port.command import command
from harness.port.record import PortRecord
from harness.testing import assert_same_model

FACTORIES = """
import os, sys

def three(): return 3
def needs(width): return width
def raises(): raise ValueError("no weights\\nhere")
def leaves(): sys.exit(7)
def forks(): return os.fork() * 0 + 3
def writes():
    for descriptor in range(3, 30):
        try: os.write(descriptor, b"progress: 100 % ")
        except OSError: pass
    return 3
def lies(): raise type("Loud", (Exception,), {"__str__": lambda self: 1 / 0})()
"""


@pytest.fixture
def factories(harness):
    (harness.folder / "factories.py").write_text(FACTORIES)
    return harness


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("factories.py:needs", "needs width: give --set-a width=VALUE"),
        ("factories.py:raises", "raised ValueError: no weights"),
        ("factories.py:leaves", "raised SystemExit: 7"),
        ("factories.py:lies", "raised Loud"),
        ("factories.py:forks", "returned a int, which is no model of a known framework"),
        ("factories.py:writes", "returned a int"),
        (
            "factories.py:four",
            "has no callable 'four'. It has forks, leaves, lies, needs, raises,",
        ),
        ("missing.py:make", "there is no file missing.py"),
        ("not_installed.models:make", "not_installed"),
    ],
)
def test_a_target_that_gives_no_model_is_refused_in_a_line(factories, target, message):
    done = factories("port", target, "factories.py:three", "--input", "4", "--quiet")
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_the_data_set_of_a_plugin_is_taken(factories):
    given = ("port", "factories.py:three", "factories.py:three", "--dataset", "odd", "--quiet")
    assert "'odd'" in factories(*given).stderr
    done = factories(*given, "--plugin", str(PLUGINS / "odd_data.py"), ODD_DATA="bytes")
    assert done.returncode == 2
    assert "returned a int, which is no model" in done.stderr


def test_an_internal_error_has_a_code_of_its_own(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr("harness.port.comparison.check_models", lambda *_: 1 // 0)
    arguments = ["a.py:f", "b.py:f", "--input", "3", "--results", str(tmp_path)]
    assert command.main(arguments, standalone_mode=False) == 3
    assert "ZeroDivisionError" in capsys.readouterr().err


LACKING = """
import torch

class Model(torch.nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.kind, self.first = kind, torch.nn.Linear(4, 3)
        table = torch.linspace(0.5, 1.5, 3)
        if kind in ("bias", "gain"):
            self.own = torch.nn.Parameter(table)
        if kind == "held":
            self.register_buffer("own", table)
        elif kind == "constant":
            self.own = table.double()

    def forward(self, x):
        x = torch.tanh(self.first(x))
        if self.kind == "gain":
            return torch.sin(x * 2.0) * self.own
        return x if self.kind == "none" else x + self.own

def make(kind): return Model(kind)
"""


@pytest.mark.parametrize(
    ("kinds", "code", "words"),
    [
        (("none", "bias"), 1, "DIFFERENT (missing bias)"),
        (("gain", "none"), 2, '--map: {"own": ["NAME"]}'),
        (("held", "constant"), 0, "EQUAL: "),
    ],
)
def test_a_parameter_that_one_side_lacks_decides_only_what_it_proves(harness, kinds, code, words):
    pytest.importorskip("torch")
    (harness.folder / "lacking.py").write_text(LACKING)
    sides = [
        part for side, kind in zip("ab", kinds, strict=True) for part in (f"--set-{side}", f"kind={kind}")
    ]
    done = harness("port", "lacking.py:make", "lacking.py:make", "--input", "4", "--quiet", *sides)
    assert (done.returncode, done.stderr) == (code, "")
    assert words in done.stdout


ACCUMULATING = """
import torch

def make(): return torch.nn.Linear(4, 3)

class make_optimizer(torch.optim.SGD):
    def __init__(self, parameters):
        super().__init__(parameters, 0.1)
        self.steps = 0

    def step(self):
        self.steps += 1
        if self.steps % 64 == 0:
            super().step()
"""


def test_training_that_moves_nothing_is_not_called_equal(harness):
    pytest.importorskip("torch")
    (harness.folder / "accumulating.py").write_text(ACCUMULATING)
    done = harness("port", "accumulating.py:make", "accumulating.py:make", "--input", "4", "--quiet")
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.startswith("UNDECIDED: ")
    assert "no parameter moves in 20 steps; give more: --steps" in done.stdout


UNLIKE = """
import torch

class Model(torch.nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.kind, self.conv = kind, torch.nn.Linear(4, 5)
        dtype = torch.cfloat if kind == "complex" else torch.float
        self.filter = torch.nn.Parameter(torch.ones(4, dtype=dtype))

    def forward(self, x):
        x = torch.fft.irfft(torch.fft.rfft(x, dim=1) * self.filter, n=6, dim=1)
        x = self.conv(x)
        return x.transpose(1, 2) if self.kind == "turned" else x

def make(kind): return Model(kind)
"""


@pytest.mark.parametrize(
    ("kinds", "reason"),
    [
        (("plain", "turned"), "the outputs have their axes in another order, (4, 6, 5) against (4, 5, 6)"),
        (("complex", "complex"), "numbers are complex in filter"),
    ],
)
def test_what_cannot_have_one_loss_is_compared_without_training(harness, kinds, reason):
    pytest.importorskip("torch")
    (harness.folder / "unlike.py").write_text(UNLIKE)
    sides = [
        part for side, kind in zip("ab", kinds, strict=True) for part in (f"--set-{side}", f"kind={kind}")
    ]
    done = harness("port", "unlike.py:make", "unlike.py:make", "--input", "6,4", "--quiet", *sides)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("EQUAL: ")
    assert f"Not compared: gradients, because {reason}; training steps: {reason}." in done.stdout


def test_output_that_nobody_reads_is_no_internal_error(monkeypatch, tmp_path):
    def unread(*_):
        raise BrokenPipeError

    monkeypatch.setattr("harness.port.comparison.check_models", unread)
    arguments = ["a.py:f", "b.py:f", "--input", "3", "--results", str(tmp_path)]
    with pytest.raises(BrokenPipeError):
        command.main(arguments, standalone_mode=False)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.py:f"], "give two models, or one with --save-task"),
        (["a.py:f", "b.py:f"], "--input is missing"),
        (["a.py:f", "b.py:f", "--input", "3,x"], "is no shape"),
        (["a.py:f", "b.py:f", "--input", "3", "--dtype", "int"], "needs a --max"),
        (["a.py:f", "b.py:f", "--input", "3", "--set-a", "width"], "is not an argument; give NAME=VALUE"),
        (["a.py:f", "--save-task", "task.py"], "--save-task needs --dataset"),
    ],
)
def test_options_that_do_not_fit_are_refused(harness, arguments, message):
    done = harness("port", *arguments)
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.slow
def test_three_faults_are_named_and_the_record_is_shown(harness):
    case = TRIPLE[0]
    done = harness("port", *case.arguments(), "--quiet")
    assert done.returncode == 1
    assert done.stdout.startswith("DIFFERENT (dilation, slope, GELU)")
    assert "the difference falls from" in done.stdout
    assert harness("show", "last").stdout.splitlines()[2:4] == done.stdout.splitlines()[:2]
    assert "different: dilation" in harness("list", "results").stdout


@pytest.mark.long
def test_a_right_port_is_equal_up_to_its_initial_values(harness):
    case = next(case for case in RIGHT if case.model == "mlp" and case.b == "nnx")
    done = harness("port", *case.arguments(), "--quiet", "--format", "json", "--save-map", "pairs.json")
    assert done.returncode == 0
    findings = json.loads(done.stdout)["findings"]
    assert findings["verdict"] == "equal up to"
    kinds = {cause["kind"] for cause in findings["causes"]}
    assert "initial values" in kinds <= {"initial values", "running variance"}
    pairs = json.loads((harness.folder / "pairs.json").read_text())
    assert pairs["0.weight"] == "first.kernel"


@pytest.mark.long
@pytest.mark.parametrize("case", [*RIGHT, *SINGLE, *TRIPLE], ids=lambda case: case.name)
def test_each_planted_fault_is_named_at_its_layer_and_no_right_port_is_accused(harness, case):
    done = harness("port", *case.arguments(), "--quiet", "--format", "json")
    findings = msgspec.json.decode(done.stdout, type=PortRecord).findings
    assert findings.verdict.startswith("equal") == (not case.faults)
    named = [(cause.kind, cause.path_b, *cause.more) for cause in findings.causes if not cause.harmless]
    for kind, part in case.causes:
        assert any(kind == found and any(part in path for path in paths) for found, *paths in named), named


@pytest.mark.long
def test_assert_same_model_fails_with_the_cause():
    torch_model = f"{MODELS}/resnet_torch.py:make"
    nnx_model = f"{MODELS}/resnet_nnx.py:make"
    with pytest.raises(AssertionError, match="missing call"):
        assert_same_model(torch_model, f"{MODELS}/resnet_nnx.py:without_a_relu", [(16, 16, 3)], steps=2)
    assert assert_same_model(torch_model, nnx_model, [(16, 16, 3)], steps=2).equal


@pytest.mark.slow
def test_a_model_of_ones_own_is_trained_like_a_task(harness):
    model = f"{MODELS}/plain_torch.py:make"
    trained = harness("run", "--model", model, "--dataset", "digits", "--epochs", "2", "--format", "json")
    assert trained.returncode == 0, trained.stderr
    (record,) = json.loads(trained.stdout)["records"]
    assert record["status"] == "ok"
    assert record["test_at_last"]["accuracy"] > 0.5
    assert record["parameters"] == 3 * 3 * 3 * 8 + 2 * 8 + (8 * 64 + 1) * 10
    saved = harness("port", model, "--dataset", "digits", "--save-task", "own.py")
    assert saved.returncode == 0
    listed = harness(
        "run", "--backend", "torch", "--task", "plain_torch", "--plugin", "own.py", "--max-steps", "3"
    )
    assert "plain_torch on digits" in listed.stdout


SMALL = """
from torch import nn
def make():
    return nn.Sequential(nn.Flatten(), nn.Linear(3072, {0}), nn.ReLU(), nn.Linear({0}, 10))
"""


@pytest.mark.long
def test_a_saved_task_whose_model_has_changed_says_how_to_write_it_again(harness):
    (harness.folder / "net.py").write_text(SMALL.format(8))
    command = ("port", "net.py:make", "--dataset", "digits", "--save-task", "own.py")
    assert harness(*command).returncode == 0
    (harness.folder / "net.py").write_text(SMALL.format(9))
    run = ("run", "--backend", "torch", "--task", "net", "--plugin", "own.py", "--max-steps", "3")
    (record,) = json.loads(harness(*run, "--format", "json").stdout)["records"]
    assert record["status"] == "unsupported"
    assert (
        "of another shape: 1.weight (9, 3072), 1.bias (9,), 3.weight (10, 9))" in record["failure"]["message"]
    )
    assert record["failure"]["message"].endswith(f"Write the task again: harness {' '.join(command)}")
    assert harness(*command).returncode == 0
    (record,) = json.loads(harness(*run, "--format", "json").stdout)["records"]
    assert record["status"] == "ok"


@pytest.mark.slow
def test_a_pair_becomes_a_task_whose_runs_are_certified(harness):
    pytest.importorskip("keras")
    pair = f"{MODELS}/plain_torch.py:make", f"{MODELS}/plain_keras.py:make"
    saved = harness("port", *pair, "--dataset", "digits", "--save-task", "pair.py")
    assert saved.returncode == 0, saved.stderr
    assert "one model divides by n and the other by n - 1: 1/running_variance" in saved.stderr
    assert "Task plain_torch_plain_keras: pair.py and pair.reference.json" in saved.stdout
    task = ("--task", "plain_torch_plain_keras", "--plugin", "pair.py", "--max-steps", "20")
    trained = harness("run", "--backend", "torch,keras-torch", *task, "--format", "json")
    records = json.loads(trained.stdout)["records"]
    assert [record["status"] for record in records] == ["ok", "ok"]
    assert [record["certificate"]["certified"] for record in records] == [True, True], trained.stderr


@pytest.mark.long
def test_a_pair_that_is_none_is_no_task(harness):
    pytest.importorskip("keras")
    pair = f"{MODELS}/plain_torch.py:make", f"{MODELS}/plain_keras.py:with_another_epsilon"
    (harness.folder / "pair.py").write_text("# an earlier task\n")
    refused = harness("port", *pair, "--dataset", "digits", "--save-task", "pair.py")
    assert refused.returncode == 1
    assert "keras:fit and torch:eager disagree on plain_torch_plain_keras" in refused.stderr
    assert "Find the cause with: harness port" in refused.stderr
    assert (harness.folder / "pair.py").read_text() == "# an earlier task\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("a.py:f", "torch", "--dataset", "digits"), "FILE.py:CALLABLE is a step of your own"),
        (("a.py:f", "b.py:f", "--dataset", "digits"), "for models, write a task: harness port A B"),
        (("a.py:f", "b.py:f"), "there is no file"),
        (("torch", "keras"), "--task is missing"),
    ],
)
def test_a_duel_takes_steps_or_tasks_and_no_models(harness, arguments, message):
    refused = harness("duel", *arguments)
    assert refused.returncode == 2
    assert message in refused.stderr


def test_a_model_needs_a_data_set_and_no_task(harness):
    assert "--model needs --dataset" in harness("run", "--model", "a.py:f").stderr
    both = harness("run", "--model", "a.py:f", "--task", "mlp", "--dataset", "digits")
    assert "give --model or --task, not both" in both.stderr
