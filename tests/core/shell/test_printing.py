"""What a terminal or GitHub Actions would obey in names and texts is printed visibly, everywhere."""

import io
import json
import sys

import msgspec
import pytest
from rich.console import Console
from support.hostile_texts import EVIL, OBEYED, hostile_record, require_visible
from support.records import make_record, save_runs

from harness.core.shell.console import LiveLine, console, print_line
from harness.core.shell.printing import echo, echo_json, echo_workflow_commands, visible
from harness.core.shell.runs_display import RunsDisplay

SHOWN = r"\u001b]0;owned\u0007\u009b31mred\u202edlrow\u000d"


@pytest.fixture
def in_actions(monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")


def test_control_characters_are_visible_and_layout_stays(capsys):
    echo(f"a\tb\nc {EVIL} é 漢 🙂")
    assert capsys.readouterr().out == f"a\tb\nc {SHOWN} é 漢 🙂\n"


def test_a_document_keeps_its_content(capsysbinary):
    echo_json(msgspec.json.encode({"name": EVIL}))
    printed = capsysbinary.readouterr().out.decode()
    assert not OBEYED & set(printed)
    assert json.loads(printed) == {"name": EVIL}


@pytest.mark.parametrize(
    "line", ["::error::x", "  ::stop-commands::x", "a ##[error]x", "first\n::set-output name=a::b"]
)
def test_no_line_is_a_command_in_an_actions_log(line, in_actions, capsys):
    echo(line)
    printed = capsys.readouterr().out
    assert not [each for each in printed.splitlines() if each.strip().startswith("::") or "##[" in each]
    assert printed.count("\n") == line.count("\n") + 1


def test_own_commands_and_other_logs_are_left_alone(monkeypatch, capsys):
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    assert visible("::std::vector ##[x]") == "::std::vector ##[x]"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert visible("std::vector a # b") == "std::vector a # b"
    echo_workflow_commands(["::error title=a::b"])
    assert capsys.readouterr().out == "::error title=a::b\n"


def test_progress_is_visible_and_keeps_its_own_style(monkeypatch):
    written = io.StringIO()
    monkeypatch.setattr(sys, "stderr", written)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(Console, "is_terminal", True)
    shown = console(quiet=False)
    shown.print(EVIL, style="bold red", markup=False)
    print_line(shown, f"failed: {EVIL}")
    line = LiveLine(quiet=False)
    line.show(f"trying {EVIL}")
    line.stop()
    with RunsDisplay([], quiet=False) as display:
        display.update("", EVIL, "epoch 1")
        display.say(EVIL)
    text = written.getvalue()
    assert "\x1b[" in text  # the console's own
    assert "\x1b]" not in text
    assert not set("\x07\x9b\u202e") & set(text)
    assert text.count(r"\u001b]0;owned") >= 5


@pytest.mark.parametrize(
    "command",
    [
        ("list", "results"),
        ("show", make_record().id),
        ("show", make_record().id, "--format", "json"),
    ],
)
def test_commands_print_hostile_records_visibly(quick, command):
    save_runs(quick.folder / "results", hostile_record())
    require_visible(quick(*command, GITHUB_ACTIONS="true"))


def test_a_hostile_name_in_an_error_is_visible(quick):
    done = quick("run", "--backend", f"torch{EVIL}", "--task", "cnn", GITHUB_ACTIONS="true")
    assert done.returncode == 2
    assert "\\u001b" in done.stderr or "\\x1b" in done.stderr
    assert not OBEYED & set(done.stderr)
