"""``harness check`` without a name reports what is broken and checks the rest."""

import re

import pytest
from click.testing import CliRunner

from harness.certify import certify
from harness.certify.certify import Selection
from harness.certify.parity import Finding
from harness.cli import check
from harness.cli.check import check_once
from harness.errors import HarnessError, PluginError, RequestFailed, UsageError
from harness.plugins import registry
from harness.plugins.configuration import Configuration
from harness.plugins.installation import Installation
from harness.plugins.selection import Selection as SelectedBackend
from harness.report.check import Checked, Extent, Status, _conclusion, check_document
from harness.report.render.terminal import terminal_text


def agreeing(examiner, definition, _selection):
    """Replaces a check that needs a worker."""
    configuration = examiner.configuration
    finding = Finding("sgd", 0.0, "")
    return Checked(
        configuration.label, definition.name, configuration.precision, [finding], [finding], None, None
    )


def remarks(checked, *, by_case=False, traceback=False):
    """What is printed of a check."""
    document = check_document(
        [checked], Extent([registry.task("mlp")], (), ()), by_case=by_case, traceback=traceback
    )
    return terminal_text(document, 1000)


@pytest.fixture
def _two_of_each(monkeypatch):
    """A backend and a task that agree, and one of each that is broken."""
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
    monkeypatch.setattr(check, "check_once", agreeing)


@pytest.mark.usefixtures("_two_of_each")
def test_what_is_broken_is_reported_and_the_rest_is_checked():
    done = CliRunner().invoke(check.command, [])
    assert done.exit_code == 1
    assert "torch:channels_last  ✓" in done.stdout
    assert "Not checked: task plugin 'halved' (halved 1.0) breaks the contract" in done.stdout
    assert "Not checked: backend cracked: its modes are None" in done.stdout
    assert "No deviation was found, but not everything could be checked." in done.stdout


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


ALL = Selection()


class FakeExaminer:
    """Answers for a backend: deviates in the cases of ``wrong``, and raises in those of ``raises``."""

    def __init__(self, wrong=(), raises=()):
        self.configuration = Configuration("torch", "eager", "cpu", 1)
        self.wrong, self.raises = wrong, raises

    def begin(self):
        pass

    def observe_waiting(self, case):
        raise HarnessError("the clock was tested")


def outcome(monkeypatch, capsys, wrong=(), raises=(), selection=ALL):
    """The outcome of a check whose cases need no worker, and what it printed."""

    def fake(case, examiner, *_):
        if case.name in examiner.raises:
            error = HarnessError(f"case {case.name!r}: raised")
            error.__cause__ = RequestFailed("raised", "Traceback: in train")
            return error
        bad = case.name in examiner.wrong
        return Finding(case.name, 1.0 if bad else 1e-15, "off: transposed" if bad else "", deviation="off")

    monkeypatch.setattr(certify, "_outcome", fake)
    right = Finding("first losses in float32", 1e-7, "", 1e-5)
    off = Finding("first losses in float32", 1.2e-4, "off in float32", 1e-5)
    chosen = off if "first losses in float32" in wrong else right
    monkeypatch.setattr(certify, "examine_losses", lambda *_: chosen)
    made = check_once(FakeExaminer(wrong, raises), registry.task("mlp"), selection)
    return made, capsys.readouterr().err


def test_each_case_is_printed_as_it_ends_with_the_time_left(monkeypatch, capsys):
    made, printed = outcome(monkeypatch, capsys)
    assert re.search(r"torch:eager on mlp: sgd ✓ 1.0e-15 \(1 of \d+, \d+ s, about \d+ s left\)", printed)
    assert "the clock was tested" in remarks(made)


def test_a_clock_that_could_not_be_tested_is_no_agreement(monkeypatch, capsys):
    made, _ = outcome(monkeypatch, capsys)
    assert made.status is Status.NOT_CHECKED
    assert made.cell == "not checked"
    assert _conclusion({made.status}) == ("No deviation was found, but not everything could be checked.")


def test_cases_that_rest_on_a_failed_one_are_listed_as_skipped(monkeypatch, capsys):
    made, printed = outcome(monkeypatch, capsys, wrong=["sgd"])
    printed_remarks = remarks(made, by_case=True)
    for name in ("long calls", "first losses in float32", "clock"):
        assert f"torch:eager on mlp, {name}: skipped, because sgd failed." in printed_remarks
    assert "sgd DEVIATES 1.0e+00" in printed


def test_the_table_shows_the_deviation_of_the_precision_that_failed(monkeypatch, capsys):
    made, _ = outcome(monkeypatch, capsys, wrong=["first losses in float32"])
    assert made.cell == "DEVIATES 1.2e-04 in float32"
    made, _ = outcome(monkeypatch, capsys, wrong=["momentum, l1"])
    assert made.cell == "DEVIATES 1.0e+00"
    assert "look at the L1 penalty" in remarks(made)


def test_fail_fast_skips_what_follows_and_case_selects(monkeypatch, capsys):
    made, _ = outcome(monkeypatch, capsys, wrong=["sgd"], selection=Selection(fail_fast=True))
    assert "default: skipped, because sgd failed" in remarks(made)
    made, printed = outcome(monkeypatch, capsys, wrong=["sgd"], selection=Selection(frozenset(["default"])))
    assert made.cell == "✓ 1.0e-15"
    assert "(1 of 1, " in printed


def test_a_traceback_is_printed_on_request(monkeypatch, capsys):
    made, _ = outcome(monkeypatch, capsys, raises=["default"])
    assert made.status is Status.NOT_CHECKED
    assert "Traceback: in train" in remarks(made, traceback=True)
    assert "Traceback" not in remarks(made)


@pytest.mark.usefixtures("_two_of_each")
def test_an_unknown_case_is_refused_with_the_nearest():
    done = CliRunner().invoke(check.command, ["torch", "--task", "mlp", "--case", "long call"])
    assert isinstance(done.exception, UsageError)
    assert "Did you mean 'long calls'?" in str(done.exception)


def test_networks_that_are_smaller_than_those_of_a_run_are_named():
    definitions = [registry.task(name) for name in ("mlp", "resnet", "lm")]
    nodes = check_document([], Extent(definitions, (), ())).nodes
    assert nodes[1].text == (
        "Smaller networks of the same layers were compared: resnet with depth=8; lm with blocks=2, width=0.5."
    )
    assert len(check_document([], Extent(definitions[:1], (), ())).nodes) == 2  # table and conclusion
