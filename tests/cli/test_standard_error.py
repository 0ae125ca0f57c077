"""What of the environment decides how progress is shown."""

import io
import sys

import pytest

from harness.cli.standard_error import console

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
