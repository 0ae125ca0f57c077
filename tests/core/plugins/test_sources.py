"""Which files the code of a plugin file consists of: those that it imports, and no others."""

import pytest

from harness.core.plugins.sources import imported_files

FILES = {
    "plugin.py": "import numpy\nimport layers\nfrom parts.steps import step",
    "layers.py": "def dense():\n    from formulas import relu\n    return relu",
    "formulas.py": "",
    "parts/__init__.py": "",
    "parts/steps.py": "from .inner import x",
    "parts/inner.py": "import constants",
    "constants.py": "import plugin",
    "notes.py": "a file that is no Python",
    "other_plugin.py": "import layers",
}
IMPORTED = {"plugin.py", "layers.py", "formulas.py", "constants.py"}
IMPORTED |= {"parts/__init__.py", "parts/steps.py", "parts/inner.py"}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "parts").mkdir()
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def names(folder):
    return {str(path.relative_to(folder)) for path in imported_files(folder / "plugin.py")}


def test_only_what_is_imported_counts(folder):
    assert names(folder) == IMPORTED


@pytest.mark.parametrize(
    "line",
    [
        "import importlib\nimportlib.import_module(name)",
        "from importlib import import_module",
        "import importlib.util",
        "__import__(name)",
        "exec(text)",
        "import runpy",
    ],
)
def test_imports_at_run_time_make_every_file_count(folder, line):
    (folder / "formulas.py").write_text(line)
    assert names(folder) == set(FILES)


def test_metadata_and_methods_called_eval_load_no_file(folder):
    (folder / "formulas.py").write_text("import importlib.metadata\nmodel.eval()")
    assert names(folder) == IMPORTED
