"""The progress of runs: whole names on a terminal of 80 columns, few lines without one."""

import io
import sys
import time
from collections.abc import Mapping
from typing import NamedTuple

import pytest
from support.records import make_record, make_request

from harness.core.certify.certificate import Certificate
from harness.core.plugins.configuration import Configuration
from harness.core.runs.events import Certified, Examined, Finished, Trained
from harness.core.runs.record import Failure
from harness.core.shell import runs_display
from harness.core.shell.console import console
from harness.core.shell.progress import Phases
from harness.core.shell.runs_display import RunLine, RunsDisplay, fitted
from harness_tasks.gan import GAN
from harness_tasks.mlp import MLP


def test_phases_remind_of_one_that_goes_on(monkeypatch, capsys, snapshot):
    monkeypatch.setattr("harness.core.shell.progress._REMINDER_SECONDS", 0.1)
    with Phases(quiet=False) as phases:
        phases.begin("making the models")
        phases.begin("training")
        time.sleep(0.35)
    lines = capsys.readouterr().err.splitlines()
    assert list(dict.fromkeys(lines)) == snapshot  # a reminder may come several times


def test_details_that_do_not_fit_are_left_out_and_none_is_cut():
    details = ["epoch 1/3", "loss 0.5", "validation accuracy 39.0 %", "2.5 steps/s"]
    assert fitted("mlp keras-torch:fit seed 0", details, 200).endswith("2.5 steps/s")
    narrow = fitted("mlp keras-torch:fit seed 0", details, 64)
    assert narrow.partition(": ")[2].split(", ") == [details[0], details[1], details[3]]
    assert fitted("mlp keras-torch:fit seed 0", details, 10) == "mlp keras-torch:fit seed 0"


class Node(NamedTuple):
    """A node of an executor."""

    name: str
    lacking: Mapping[str, str] = {}


REQUESTS = [make_request(seed, epochs=40, variant="dropout") for seed in (0, 1)]


def test_without_a_terminal_a_line_comes_with_each_run_and_every_ten_seconds(monkeypatch, capsys, snapshot):
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with RunsDisplay(REQUESTS, quiet=False) as display:
        configuration = Configuration("torch", "eager", "cpu", 1)
        for case in range(1, 11):
            now += 2.5
            display.certificate("", Examined(configuration, "mlp", case, 10))
        display.certificate("", Certified(configuration, "mlp", Certificate(certified=True), 25.0))
        for request in REQUESTS:
            notify = display.begin("", request)
            for step in range(1, 101):
                now += 0.25
                notify(Trained(step, 100, 1 + step // 3, 0.5, 0.25))
            notify(Finished(make_record()))
    assert capsys.readouterr().err.splitlines() == snapshot


def test_a_cluster_shows_where_runs_begin_and_end_and_which_begin_again(capsys, snapshot):
    states = [Node(f"{name[0] * 32} ({name})") for name in ("alpha", "beta")]
    alpha, beta = (state.name for state in states)
    with RunsDisplay(REQUESTS, quiet=False, on_nodes=True) as display:
        for state in states:
            display.joined(state)
        first = display.begin(alpha, REQUESTS[0])
        display.begin(beta, REQUESTS[1])
        first(Trained(1, 10, 1, 0.5, 0.1))
        first(Finished(make_record()))
        display.lost(beta, "it does not answer", again=REQUESTS[1])
        display.begin(alpha, REQUESTS[1])(Finished(make_record()))
    assert capsys.readouterr().err.splitlines() == snapshot


def test_places_of_a_cluster_are_counted_as_places(capsys, monkeypatch):
    monkeypatch.setattr(runs_display, "_QUIET_SECONDS", 0.0)
    with RunsDisplay(REQUESTS, quiet=False, on_nodes=True, jobs=2) as display:
        for place in (1, 2):
            display.joined(Node(f"alpha #{place}"))
        display.begin("alpha #2", REQUESTS[0])(Finished(make_record()))
    assert f"1 of {len(REQUESTS)} runs ended, 2 places" in capsys.readouterr().err


def test_runs_at_once_have_one_count_and_no_place_in_their_lines(capsys):
    with RunsDisplay(REQUESTS, quiet=False, jobs=2) as display:
        first, second = (display.begin(str(place + 1), REQUESTS[place]) for place in range(2))
        second(Trained(1, 10, 1, 0.5, 0.1))
        second(Finished(make_record()))
        first(Finished(make_record()))
    lines = capsys.readouterr().err.splitlines()
    assert [line[:3] for line in lines] == ["[2/", "[1/"]
    assert not [line for line in lines if ", on " in line or "begins" in line]
    assert display._ended == 2


def test_a_run_that_is_given_up_with_its_node_ends(capsys):
    state = Node("alpha (aaaaaaaaaaaa)")
    with RunsDisplay(REQUESTS[:1], quiet=False, on_nodes=True) as display:
        display.joined(state)
        notify = display.begin(state.name, REQUESTS[0])
        display.lost(state.name, "it does not answer", again=None)
        notify(Finished(make_record(failure=Failure("3 nodes were lost"), status="failed")))
    assert "3 nodes were lost" in capsys.readouterr().err.splitlines()[-1]


def test_on_a_terminal_of_80_columns_no_name_is_cut(harness):
    settings = ("--set", "dropout=0.0,0.5", "--epochs", "2", "--dataset", "digits", "--no-certify")
    lines = harness.in_terminal("run", "--task", "cnn", "--backend", "faulty:ok", *settings, columns=80)
    live = [line for line in lines if "seed 0 (dropout=" in line]
    assert max(map(len, live)) <= 80
    assert all("cnn faulty:ok seed 0 (dropout=0." in line for line in live)
    assert not [line for line in lines if "…" in line]
    assert [line for line in live if line.startswith("[2/2] ") and "test accuracy" in line]


@pytest.mark.parametrize(("definition", "loss"), [(MLP, "loss 2.9"), (GAN, "generator loss 2.9")])
def test_the_loss_of_an_adversarial_task_is_named(definition, loss):
    shown = []

    class Display:
        def update(self, _node, *details):
            shown.extend(details)

    RunLine(Display(), "", "run", definition.define(definition.options()))(Trained(1, 10, 1, 2.9, 0.1))
    assert loss in shown


# The console: what of the environment decides how progress is shown.

COLOUR = "\x1b[32m"


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def printed(monkeypatch):
    """Prints something green to a stream, with these variables set; returns the console."""

    def to(stream, **variables):
        for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "COLORTERM"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("TERM", "xterm")
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "stderr", stream)
        shown = console(quiet=False)
        shown.print("running", style="green")
        return shown

    return to


def test_a_terminal_has_colour_unless_the_user_wants_none(printed):
    coloured, plain = Terminal(), Terminal()
    assert printed(coloured).is_terminal
    assert COLOUR in coloured.getvalue()
    assert printed(plain, NO_COLOR="1").is_terminal
    assert plain.getvalue() == "running\n"


@pytest.mark.parametrize("variables", [{}, {"FORCE_COLOR": "1"}, {"TTY_COMPATIBLE": "1"}])
def test_a_log_gets_plain_lines_whatever_is_forced(printed, variables):
    log = io.StringIO()
    assert not printed(log, **variables).is_terminal
    assert log.getvalue() == "running\n"


def test_a_terminal_without_a_cursor_gets_lines(printed):
    assert not printed(Terminal(), TERM="dumb").is_terminal
