"""A plugin whose top level imports a framework is refused, and the line is named."""

import pytest
from support.pages import module
from support.plugin_files import install

from harness.errors import PluginError
from harness.plugins import registry
from harness.plugins.files import PLUGIN_FILES_VARIABLE
from harness.plugins.installation import installation

BACKEND = module("docs/how-to/add-a-backend.md", "my_numpy")
FIRST_LINE = len(BACKEND.splitlines()) + 1
#: Fakes: the real frameworks take seconds to import.
MODULES = {
    "torch": "",
    "keras": "",
    "acme_core": "",
    "own_helper": "import acme_core\n",
    "asking": "import importlib.util\nFOUND = importlib.util.find_spec('torch') is not None\n",
}


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    """Load the guide's backend with lines after its own, as a file beside fakes of frameworks."""
    record = "acme_core.py,,\nacme_dl-2.0.dist-info/METADATA,,\n"
    monkeypatch.syspath_prepend(install(tmp_path / "modules", "acme-dl", MODULES, "2.0", record))
    path = tmp_path / "plugins" / "own.py"
    path.parent.mkdir()
    monkeypatch.setenv(PLUGIN_FILES_VARIABLE, str(path))

    def load(lines, requires='("numpy>=2",)'):
        path.write_text(BACKEND.replace('("numpy>=2",)', requires) + lines)
        return registry.backend("my-numpy")

    return load


@pytest.mark.parametrize(
    ("lines", "line", "imported"),
    [
        ("import torch\n", 0, "torch"),
        ("from keras import *\n", 0, "keras"),
        ("try:\n    import torch\nexcept ImportError:\n    torch = None\n", 1, "torch"),
        ("def version():\n    import keras\n    return keras\nversion()\n", 1, "keras"),
        ("import importlib\nimportlib.import_module('torch')\n", 1, "torch"),
        ("import asking\nimport torch\n", 1, "torch"),
    ],
)
def test_the_line_that_imports_a_framework_is_named(loaded, lines, line, imported):
    with pytest.raises(PluginError) as caught:
        loaded(lines)
    assert f"own.py, line {FIRST_LINE + line}, imports {imported}" in str(caught.value)


def test_what_the_backend_requires_is_a_framework_whatever_its_module_is_called(loaded):
    with pytest.raises(PluginError, match=f"own.py, line {FIRST_LINE}, imports acme_core at the top level"):
        loaded("import own_helper\n", '("acme-dl>=2",)')


@pytest.mark.parametrize(
    ("lines", "requires"),
    [
        ("", '("numpy>=2",)'),  # NumPy is imported at the top of the guide's backend, and required by it
        ("import own_helper\n", '("numpy>=2",)'),
        ("import asking\n", '("numpy>=2",)'),
        ("def environment():\n    import torch\n", '("torch>=2",)'),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch\n", '("torch>=2",)'),
        ("import pandas, scipy.stats\n", '("acme-dl>=2", "pandas>=2")'),
    ],
)
def test_other_imports_pass(loaded, lines, requires):
    assert loaded(lines, requires).name == "my-numpy"


def test_such_a_backend_is_listed_as_broken(loaded):
    with pytest.raises(PluginError):
        loaded("import torch\n")
    state, detail = installation("my-numpy")
    assert state == "broken"
    assert f"own.py, line {FIRST_LINE}, imports torch" in detail


def test_the_line_of_an_installed_package_is_named(tmp_path, monkeypatch):
    modules = {
        "torch": "",
        "acme_plugin.__init__": f"\nfrom acme_plugin import layers\n{BACKEND}",
        "acme_plugin.layers": "import numpy\nimport torch\n",
    }
    install(tmp_path, "acme-plugin", modules, backends={"my-numpy": "acme_plugin"})
    monkeypatch.syspath_prepend(tmp_path)
    registry._entry_points.cache_clear()
    try:
        with pytest.raises(PluginError) as caught:
            registry.backend("my-numpy")
    finally:
        registry._entry_points.cache_clear()
    message = str(caught.value)
    assert message.startswith("backend plugin 'my-numpy' (acme-plugin 1.0)")
    assert "layers.py, line 2, imports torch" in message
