"""``harness check`` without a name reports what is broken and checks the rest."""

import re
import sys

import pytest
from click.testing import CliRunner

from harness.core.certify import certify
from harness.core.certify.certify import Selection
from harness.core.certify.page import Checked, Extent, Status, check_document
from harness.core.certify.parity import Finding
from harness.core.documents.render.terminal import terminal_text
from harness.core.plugins import registry
from harness.core.plugins.configuration import Configuration
from harness.core.plugins.installation import Installation
from harness.core.plugins.selection import Selection as SelectedBackend
from harness.core.reference.training import NUMPY
from harness.core.shell import checks
from harness.core.shell.checks import check_once
from harness.core.shell.commands import check
from harness.errors import HarnessError, PluginError, RequestFailed


def agreeing(examiner, definition, _selection):
    """Replaces a check that needs a worker."""
    configuration = examiner.configuration
    finding = Finding("sgd", 0.0, "")
    return Checked(configuration.label, definition.name, configuration.precision, [finding], [finding], None)


@pytest.fixture
def _two_of_each(monkeypatch):
    """A backend and a task that agree, and one of each that is broken."""
    monkeypatch.setenv("COLUMNS", "100")
    mlp = registry.task("mlp")
    tasks = {"mlp": mlp, "halved": PluginError("task plugin 'halved' (halved 1.0) breaks the contract")}

    def task(name):
        if isinstance(tasks[name], PluginError):
            raise tasks[name]
        return tasks[name]

    states = {
        "torch": Installation("installed", "torch 2.6"),
        "cracked": Installation("broken", "its modes are None"),
    }
    monkeypatch.setattr(registry, "names", lambda kind: list(states if kind == "backend" else tasks))
    monkeypatch.setattr(registry, "task", task)
    monkeypatch.setattr(check, "installation", states.__getitem__)
    monkeypatch.setattr(
        check, "select_backend", lambda name: SelectedBackend(registry.backend(name), "eager")
    )
    monkeypatch.setattr(checks, "check_once", agreeing)
    monkeypatch.setattr(check, "try_forks", lambda tried: {each.backend: "" for each in tried})


@pytest.mark.usefixtures("_two_of_each")
def test_what_is_broken_is_reported_and_the_rest_is_checked(snapshot):
    done = CliRunner().invoke(check.command, [])
    assert (done.exit_code, done.stdout) == (1, snapshot)


@pytest.mark.usefixtures("_two_of_each")
def test_what_is_named_is_all_that_counts():
    done = CliRunner().invoke(check.command, ["torch", "--task", "mlp"])
    assert done.exit_code == 0
    assert "Not checked" not in done.stdout
    assert isinstance(CliRunner().invoke(check.command, ["torch", "--task", "halved"]).exception, PluginError)


@pytest.mark.usefixtures("_two_of_each")
def test_backends_are_arguments_or_options_as_in_a_run():
    tables = [
        CliRunner().invoke(check.command, [*words, "--task", "mlp"]).stdout
        for words in (["torch"], ["--backend", "torch"], ["torch", "--backend", "torch"])
    ]
    assert tables[0].count("torch:eager") == 1
    assert tables[0] == tables[1] == tables[2]


class FakeExaminer:
    """Answers for a backend; ``wrong`` cases deviate, those of ``raises`` raise."""

    def __init__(self, wrong, raises):
        self.configuration = Configuration("torch", "eager", "cpu", 1)
        self.wrong, self.raises = wrong, raises

    def begin(self):
        pass


def examined(case, examiner, *_):
    if case.name in examiner.raises:
        error = HarnessError(f"case {case.name!r}: raised")
        error.__cause__ = RequestFailed("raised", "Traceback: in train")
        return error
    bad = case.name in examiner.wrong
    return Finding(case.name, 1.0 if bad else 1e-15, "off" if bad else "")


FLOAT32 = "first losses in float32"


@pytest.mark.parametrize(
    ("wrong", "raises", "selection", "status", "cell"),
    [
        ((), (), Selection(), Status.AGREES, "✓ 1.0e-15"),
        (["sgd"], (), Selection(), Status.DEVIATES, "DEVIATES 1.0e+00"),
        (["momentum, l1"], (), Selection(), Status.DEVIATES, "DEVIATES 1.0e+00"),
        ([FLOAT32], (), Selection(), Status.DEVIATES, "DEVIATES 1.2e-04 in float32"),
        (["sgd"], (), Selection(fail_fast=True), Status.DEVIATES, "DEVIATES 1.0e+00"),
        (["sgd"], (), Selection(frozenset(["default"])), Status.AGREES, "✓ 1.0e-15"),
        ((), ["default"], Selection(), Status.NOT_CHECKED, "not checked"),
    ],
    ids=["none", "first case", "one rule", "precision", "fail fast", "one case", "raises"],
)
def test_each_case_is_printed_as_it_ends_and_what_rests_on_a_failed_one_is_skipped(
    monkeypatch, capsys, snapshot, wrong, raises, selection, status, cell
):
    off = FLOAT32 in wrong
    losses = Finding(FLOAT32, 1.2e-4 if off else 1e-7, "off in float32" if off else "", 1e-5)
    for made_by in ("_outcome", "_long_calls"):
        monkeypatch.setattr(certify, made_by, examined)
    monkeypatch.setattr(certify, "examine_losses", lambda *_: losses)
    made = check_once(FakeExaminer(wrong, raises), registry.task("mlp"), selection)
    assert (made.status, made.cell) == (status, cell)
    extent = Extent([registry.task("mlp")], (), ())
    assert terminal_text(check_document([made], extent, by_case=True, traceback=True), 1000) == snapshot
    assert "Traceback" not in terminal_text(check_document([made], extent), 1000)
    ended = re.findall(r"torch:eager on mlp: (.+) [✓D].* \((\d+) of (\d+), \d+ s", capsys.readouterr().err)
    compared = [outcome.case for outcome in made.outcomes if isinstance(outcome, Finding)]
    assert [name for name, *_ in ended] == compared
    assert all(1 <= int(number) <= int(count) for _, number, count in ended)


THREADED = """
import threading, time
from harness.hookspecs import hookimpl
from harness.spec.backend import Backend


class Threaded(Backend):
    name = "threaded"
    summary = "starts a thread"
    modes = ("plain",)
    requires = ("numpy>=1",)

    def environment(self, threads):
        threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
        return {"engine": "threaded", "threaded": "1"}

    def build(self, plan, data):
        raise NotImplementedError


@hookimpl
def harness_backend(name):
    return Threaded() if name == "threaded" else None
"""


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone")
def test_it_is_tried_whether_workers_can_be_forked(tmp_path, monkeypatch):
    (tmp_path / "threaded.py").write_text(THREADED)
    monkeypatch.setenv("HARNESS_PLUGIN_FILES", str(tmp_path / "threaded.py"))
    names = (NUMPY, "threaded", "absent", NUMPY)
    forks = checks.try_forks([Configuration(name, "plain", "cpu", 1) for name in names])
    assert list(forks) == [NUMPY, "threaded", "absent"]
    assert forks[NUMPY] == ""
    assert re.fullmatch(r"its import starts threads \(.*python.*\)", forks["threaded"])
    assert forks.pop("absent").startswith("its import fails")
    nodes = check_document([], Extent([], (), (), {**forks, "torch": ""})).nodes
    assert [node.text for node in nodes[1:3]] == [
        f"--jobs forks the workers of {NUMPY} and torch from a process that has made the imports.",
        f"--jobs starts each worker of threaded anew: {forks['threaded']}.",
    ]


def test_networks_that_are_smaller_than_those_of_a_run_are_named(snapshot):
    definitions = [registry.task(name) for name in ("mlp", "resnet", "lm")]
    nodes = check_document([], Extent(definitions, (), ())).nodes
    assert nodes[1].text == snapshot
    assert len(check_document([], Extent(definitions[:1], (), ())).nodes) == 2  # table and conclusion
