"""The progress of runs: whole names on a terminal of 80 columns, few lines without one, one time left."""

import io
import sys
import time
from collections.abc import Mapping
from typing import NamedTuple

import pytest
from support.records import make_record, make_request

from harness.core.certify.certificate import Certificate
from harness.core.documents.numbers import time_left
from harness.core.plugins.configuration import Configuration
from harness.core.runs.events import Certified, Certifying, Examined, Finished, Trained
from harness.core.runs.record import Failure
from harness.core.shell import runs_display
from harness.core.shell.console import console
from harness.core.shell.progress import Phases
from harness.core.shell.runs_display import RunLine, RunsDisplay, fitted
from harness.core.shell.time_left import Activity, Remaining
from harness_tasks.gan import GAN
from harness_tasks.mlp import MLP

A, B = Activity("run", "a"), Activity("run", "b")
CERTIFICATE = Activity("certificate", "a")


class Told:
    """The time left of activities, as it is told what happens at which second."""

    def __init__(self, activities, **options):
        self.now = 0.0
        self.remaining = Remaining(activities, lambda: self.now, **options)

    def ran(self, *runs):
        """Activities that begin and end, with their seconds."""
        for activity, seconds in runs:
            self.remaining.begin(activity)
            self.now += seconds
            self.remaining.end()
        return self.remaining.seconds()


def test_no_time_is_stated_until_something_is_known():
    assert Told([CERTIFICATE, A, A]).ran((CERTIFICATE, 10)) is None  # no run has begun


def test_the_first_run_is_estimated_by_its_own_speed():
    told = Told([A, A])
    told.remaining.begin(A)
    for now, share in ((4, 0.1), (8, 0.3)):  # the worker has started after 4 s
        told.now = now
        told.remaining.advance(share)
    # 4 s for a fifth: 14 s are left of this run, which takes 22 s in all, as the other one will.
    assert told.remaining.seconds() == pytest.approx(14 + 22)


def test_runs_of_one_kind_take_as_long_as_those_that_ended():
    told = Told([A, B, A, B, CERTIFICATE])
    assert told.ran((A, 10), (B, 30), (CERTIFICATE, 5)) == pytest.approx(10 + 30)
    told.remaining.begin(A)
    for passed, left in ((4, 6 + 30), (100, 30)):  # longer than expected, but never negative
        told.now += passed
        assert told.remaining.seconds() == pytest.approx(left)


def test_an_unknown_kind_takes_as_long_as_the_mean_of_its_group():
    assert Told([A, A, B]).ran((A, 10), (A, 20)) == pytest.approx(15)


def test_the_time_left_is_shared_by_the_nodes():
    told = Told([A] * 4, nodes=0)
    remaining = told.remaining
    remaining.begin(A, "alpha")
    remaining.begin(A, "beta")
    assert remaining.seconds() is None
    remaining.nodes = 2
    remaining.advance(0.0, "alpha")
    told.now = 10.0
    remaining.advance(0.5, "alpha")
    assert remaining.seconds() == (10 + 10 + 2 * 20) / 2  # beta is expected to take as long
    told.now = 20.0
    remaining.end("alpha")
    assert remaining.seconds() == (0 + 2 * 20) / 2


@pytest.mark.parametrize(("again", "seconds"), [(True, 20), (False, 0)])
def test_the_run_of_a_lost_node_counts_in_full_if_it_begins_again(again, seconds):
    told = Told([A] * 2, nodes=2)
    told.remaining.begin(A, "alpha")
    told.remaining.begin(A, "beta")
    told.now = 20.0
    told.remaining.end("alpha")
    told.remaining.lose("beta", again=again)
    told.remaining.nodes = 1
    assert told.remaining.seconds() == seconds


def test_phases_state_the_time_left_and_remind_of_one_that_goes_on(monkeypatch, capsys, snapshot):
    monkeypatch.setattr("harness.core.shell.progress._REMINDER_SECONDS", 0.1)
    with Phases(quiet=False) as phases:
        phases.begin("making the models")
        phases.begin("training", 40.0)
        time.sleep(0.35)
        phases.advance("case 'sgd'", 0.0)
        time.sleep(0.05)
        phases.advance("case 'default'", 0.5)
    lines = capsys.readouterr().err.splitlines()
    assert list(dict.fromkeys(lines)) == snapshot  # a reminder may come several times


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (40, "about 40 s left"),
        (99.6, "about 2 min left"),
        (7169, "about 119 min left"),
        (7171, "about 2 h 0 min left"),
    ],
)
def test_time_left_is_stated_in_a_fitting_unit(seconds, text):
    assert time_left(seconds) == text


def test_details_that_do_not_fit_are_left_out_and_none_is_cut():
    details = ["epoch 1/3", "3 min left", "validation accuracy 39.0 %", "2.5 steps/s"]
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
    with RunsDisplay(REQUESTS, quiet=False, certify=True) as display:
        configuration = Configuration("torch", "eager", "cpu", 1)
        display.certificate("", Certifying(configuration, "mlp"))
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
    with RunsDisplay(REQUESTS, quiet=False, certify=True, jobs=2) as display:
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

        def advance(self, _node, _share):
            pass

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
