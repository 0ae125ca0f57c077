"""Plugins are found without an import and loaded by name; broken ones affect no others."""

import re
import sys

import pytest
from support.command import PLUGINS
from support.plugin_files import install

from harness.core.plugins import files, registry
from harness.errors import PluginError, UsageError
from harness.spec.task import TaskDefinition

HOOK = """
from harness.hookspecs import hookimpl

@hookimpl
def harness_backend(name):
    {body}
"""

INCOMPLETE = """
from harness.hookspecs import hookimpl
from harness.spec import Backend

class Incomplete(Backend):
    summary = "of use to nobody"
    {attributes}

    def environment(self, threads): ...
    def build(self, plan, data): ...

@hookimpl
def harness_backend(name):
    return Incomplete()
"""

MODULES = {
    "nameless": INCOMPLETE.format(attributes=""),
    "modeless": INCOMPLETE.format(attributes="name = 'modeless'"),
    "no_comma": INCOMPLETE.format(attributes="name, modes = 'no-comma', ('eager')"),
    "path_mode": INCOMPLETE.format(attributes="name, modes = 'path-mode', ('a/b',)"),
    "null_mode": INCOMPLETE.format(attributes="name, modes = 'null-mode', ('a\\x00',)"),
    "surrogate_mode": INCOMPLETE.format(attributes="name, modes = 'surrogate-mode', ('a\\ud800',)"),
    "requiring_what": INCOMPLETE.format(attributes="name, modes = 'requiring-what', ('eager',)"),
    "misspelt_requirement": INCOMPLETE.format(
        attributes="name, modes, requires = 'misspelt-requirement', ('eager',), ('torch=>2',)"
    ),
    "raising_import": "raise RuntimeError('born broken')",
    "exiting_import": "import sys; sys.exit('no licence found')",
    "missing_import": "import a_module_that_nobody_has",
    "syntax": "def broken(:",
    "raising_hook": HOOK.format(body="raise ValueError('not today')"),
    "exiting_hook": HOOK.format(body="raise SystemExit(3)"),
    "wrong_type": HOOK.format(body="return {'name': name}"),
    "class_not_instance": "from harness.spec import Backend\n" + HOOK.format(body="return Backend"),
    "silent": HOOK.format(body="return None"),
    "hookless": "",
    "unknown_hook": "from harness.hookspecs import hookimpl\n@hookimpl\ndef harness_backend(nmae): ...",
}

POINTS = {
    **{name.replace("_", "-"): f"plugin_{name}" for name in MODULES},
    "absent-module": "plugin_not_there",
    "absent-attribute": "plugin_hookless:backend",
}
#: What follows in the message of an error is in Python's words.
OWN_WORDS = re.compile(r"(SyntaxError|AttributeError|PluginValidationError): .*")


@pytest.fixture
def found_anew():
    """Entry points are looked for in this test, and again after it."""
    registry._entry_points.cache_clear()
    yield
    registry._entry_points.cache_clear()


@pytest.fixture
def broken_plugins(found_anew, tmp_path, monkeypatch):
    """A distribution ``broken-plugins 1.5`` whose entry points are all broken, each in its way."""
    modules = {f"plugin_{name}": source for name, source in MODULES.items()}
    install(tmp_path, "broken-plugins", modules, version="1.5", backends=POINTS)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in [name for name in sys.modules if name.startswith("plugin_")]:
        del sys.modules[name]


# --- What is there -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("backend", "torch"),
        ("backend", "keras"),
        ("backend", "keras-jax"),
        ("backend", "keras-torch"),
        ("task", "cnn"),
        ("dataset", "cifar10"),
        ("dataset", "digits"),
    ],
)
def test_the_plugins_of_this_project_are_found_and_load(kind, name):
    assert name in registry.names(kind)
    assert getattr(registry, kind)(name).name == name


@pytest.mark.parametrize(
    ("kind", "name"), [("backend", "tourch"), ("task", "cn"), ("dataset", "cifar-10"), ("dataset", "zzz")]
)
def test_an_unknown_name_is_answered_with_the_nearest_and_the_list(kind, name, snapshot):
    with pytest.raises(UsageError) as caught:
        getattr(registry, kind)(name)
    assert str(caught.value) == snapshot


# --- What is broken ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", POINTS)
def test_a_broken_plugin_is_named_with_its_distribution_and_the_reason(broken_plugins, name, snapshot):
    with pytest.raises(PluginError) as caught:
        registry.backend(name)
    message = str(caught.value).splitlines()[0]
    assert message.startswith(f"backend plugin {name!r} (broken-plugins 1.5) ")
    assert OWN_WORDS.sub(r"\1", message) == snapshot


def test_the_version_of_an_installed_plugin_is_that_of_its_distribution(found_anew, tmp_path, monkeypatch):
    """Whatever the backend is called, and whatever else is given as a file."""
    monkeypatch.syspath_prepend(PLUGINS)
    assert registry.backend_distribution("torch") is None  # its own version is that of the framework
    assert registry.backend_distribution("paced") == "faulty 1.0"
    (tmp_path / "task.py").write_text(HOOK.format(body="return None"))
    own = "from paced import PacedBackend\n" + HOOK.format(body="return PacedBackend()")
    (tmp_path / "own.py").write_text(own)
    monkeypatch.setenv(files.PLUGIN_FILES_VARIABLE, str(tmp_path / "task.py"))
    assert registry.backend_distribution("paced") == "faulty 1.0"
    monkeypatch.setenv(files.PLUGIN_FILES_VARIABLE, str(tmp_path / "own.py"))
    assert registry.backend_distribution("paced") is None


def test_two_plugin_files_of_one_name_are_two_modules(tmp_path, monkeypatch):
    """The files beside a backend's are what its certificate is kept for."""
    paths = []
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        paths.append(tmp_path / name / "my.plugin.py")
        paths[-1].write_text(f"NAME = {name!r}\n")
    modules = [files.import_file(file) for file in paths]
    assert [module.NAME for module in modules] == ["one", "other"]
    assert [sys.modules[module.__name__.partition(".")[0]] for module in modules] == modules


def test_broken_plugins_do_not_affect_others(broken_plugins):
    assert set(POINTS) < set(registry.names("backend"))
    assert registry.backend("torch").name == "torch"
    assert isinstance(registry.task("cnn"), TaskDefinition)
    assert not [name for name in sys.modules if name.startswith("plugin_")]
