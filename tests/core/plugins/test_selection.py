"""What may be written after a backend's name: a mode, nothing or ``*``."""

import pytest

from harness.core.plugins import registry
from harness.core.plugins.definition import define_task
from harness.core.plugins.options import parse_options
from harness.core.plugins.selection import select_backend
from harness.errors import PluginError, UsageError

pytest.importorskip("torch")


def task(name):
    definition = registry.task(name)
    return define_task(definition, parse_options(definition, []))


def test_a_mode_that_is_written_is_taken_on_every_task():
    selection = select_backend("torch:compile")
    assert selection.mode(task("cnn")) == selection.mode(task("mlp")) == "compile"


@pytest.mark.parametrize(
    ("name", "mode"),
    [("mlp", "eager"), ("lm", "eager"), ("cnn", "channels_last"), ("gan", "channels_last")],
)
def test_pytorchs_default_is_channels_last_where_pictures_are_convolved(name, mode):
    assert select_backend("torch").modes(task(name)) == (mode,)


def test_a_star_stands_for_all_modes():
    assert select_backend("torch:*").modes(task("cnn")) == ("eager", "compile", "channels_last")


def test_one_mode_is_asked_for_where_one_is_needed():
    with pytest.raises(UsageError, match="one mode is needed here; name it, such as torch:eager"):
        select_backend("torch:*").mode(task("cnn"))


def test_an_unknown_mode_is_refused_with_all_that_may_be_written():
    with pytest.raises(UsageError, match=r"Known: \*, channels_last, compile, eager\."):
        select_backend("torch:fast")


@pytest.mark.parametrize("answer", ["fast", None])
def test_a_default_that_is_no_mode_is_the_plugins_fault(monkeypatch, answer):
    selection = select_backend("torch")
    monkeypatch.setattr(type(selection.backend), "default_mode", lambda _self, _task: answer)
    with pytest.raises(PluginError, match=r"backend torch: default_mode\(\) returned .*; expected one of"):
        selection.mode(task("cnn"))
