"""``harness check`` without a name reports what is broken and checks the rest."""

import pytest
from click.testing import CliRunner

from harness.cli import check
from harness.errors import PluginError
from harness.plugins import registry
from harness.plugins.installation import Installation


class Agreeing:
    """Replaces a check that needs a worker."""

    status = check._Status.AGREES
    cell = "✓ 0.0e+00"

    def __init__(self, examiner, definition):
        pass

    def remarks(self, *, by_case):
        return []


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
    monkeypatch.setattr(check, "select_backend", lambda name: (registry.backend(name), "eager"))
    monkeypatch.setattr(check, "_Outcome", Agreeing)


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
