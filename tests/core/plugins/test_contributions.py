"""A file of ``--plugin`` is used, or the command says that it is not."""

import pytest
from support.pages import module

from harness.core.plugins.contributions import contributions
from harness.core.plugins.files import PLUGIN_FILES_VARIABLE
from harness.errors import PluginError, UsageError

PLANNED = {"backend": ("my-numpy",), "task": ("mlp",)}
FOR_NOTHING = """
from harness.hookspecs import hookimpl

@hookimpl
def harness_backend(name):
    return None
"""


@pytest.fixture
def given(tmp_path, monkeypatch):
    """Names a file of this text on the command line, beside those named before."""
    paths = []

    def give(text):
        paths.append(tmp_path / f"file_{len(paths)}.py")
        paths[-1].write_text(text)
        monkeypatch.setenv(PLUGIN_FILES_VARIABLE, "\n".join(map(str, paths)))
        return paths[-1]

    return give


def own_backend(name="my-numpy"):
    return module("docs/how-to/add-a-backend.md", "my_numpy").replace('"my-numpy"', f'"{name}"')


def own_task():
    return module("docs/how-to/add-a-task.md", "my_task")


def test_a_file_that_is_used_is_not_remarked_on(given):
    path = given(own_backend())
    (contribution,) = contributions(PLANNED)
    assert contribution == (path, (("backend", "my-numpy"),), (), (), ())


def test_without_files_nothing_is_loaded():
    assert contributions({"backend": ("a backend that nobody has",)}) == []


@pytest.mark.parametrize("text", ["", "import numpy\n", "def harness_backend(name): ...\n"])
def test_a_file_without_a_hook_is_refused(given, text):
    path = given(text)
    with pytest.raises(PluginError, match=f"plugin file {path} contributes nothing"):
        contributions(PLANNED)


@pytest.mark.parametrize("text", [FOR_NOTHING, own_backend("my-nmpy")])
def test_a_file_that_provides_no_name_that_is_asked_for_is_refused(given, snapshot, text):
    path = given(text)
    with pytest.raises(UsageError) as caught:
        contributions({"backend": ("torch",), "task": ("mlp",)})
    assert str(caught.value).replace(str(path), "FILE") == snapshot


def test_each_of_several_files_must_provide_something(given):
    given(own_backend())
    idle = given(own_task())
    with pytest.raises(UsageError, match=f"plugin file {idle} provides none"):
        contributions(PLANNED)


def test_names_that_an_installed_plugin_has_too_are_found(given):
    given(own_backend("torch"))
    (contribution,) = contributions({"backend": ("torch", "keras"), "task": ("mlp",)})
    assert contribution.also_installed == (("backend", "torch"),)


def test_names_that_a_later_file_has_too_are_found(given):
    given(own_backend())
    other = given(own_backend())
    first, second = contributions(PLANNED)
    assert first.also_in_files == (("backend", "my-numpy", other),)
    assert second.also_in_files == ()


def test_a_hook_without_a_name_that_is_asked_for_is_found(given):
    given(own_task() + FOR_NOTHING)
    (contribution,) = contributions({"backend": ("torch",), "task": ("logistic",)})
    assert contribution.lacking == ("backend",)


def test_a_data_set_is_used_by_a_task_that_names_it(given):
    given(module("docs/how-to/add-a-data-set.md", "my_data"))
    given(own_task())
    bars, _ = contributions({"backend": ("torch",), "task": ("logistic",)})
    assert bars.provided == (("dataset", "bars"),)


@pytest.mark.parametrize(
    "command",
    [
        "check torch --task mlp",
        "run --backend torch --task mlp",
        "data verify digits",
    ],
)
def test_the_commands_refuse_an_idle_file(quick, snapshot, command):
    (quick.folder / "own.py").write_text(own_backend())
    refused = quick(*command.split(), "--plugin", "own.py")
    assert (refused.returncode, refused.stdout) == (2, "")
    assert refused.stderr.replace(str(quick.folder), "FOLDER") == snapshot


def test_a_command_says_which_of_two_plugins_is_used(harness):
    (harness.folder / "torch.py").write_text(own_backend("torch"))
    done = harness.ok("check", "torch", "--task", "mlp", "--plugin", "torch.py")
    assert "torch:plain" in done.stdout
    assert done.stderr.count(f"plugin file {harness.folder / 'torch.py'}; the installed one is") == 1
