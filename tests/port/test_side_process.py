"""What a side's process imports before it forks."""

import os

import pytest

from harness.errors import UsageError
from harness.tracing.user_code import first_imports, import_first, split_target, user_module

ENGINE = 'import os\nos.environ["KERAS_BACKEND"] = "jax"\nimport keras\n'


@pytest.mark.parametrize(
    ("source", "imported"),
    [
        (
            '"""Text."""\nimport math\nimport numpy as np\nfrom torch import nn\nimport keras.ops',
            ["torch", "keras.ops"],
        ),
        (ENGINE, []),
        ("import settings\nimport keras", []),
        ("from . import settings\nimport torch", []),
        ("import jax\nif jax.devices():\n    import torch", ["jax"]),
    ],
)
def test_frameworks_are_imported_until_the_file_does_something_else(source, imported):
    assert list(first_imports(source)) == imported


@pytest.mark.long  # the imports are tested above, and each engine in tests/backends/port
def test_both_models_have_the_engine_that_their_file_names(harness, tmp_path):
    model = "def make():\n    return keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3)])\n"
    (tmp_path / "model.py").write_text(ENGINE + model)
    side = f"{tmp_path}/model.py:make"
    done = harness("port", side, side, "--input", "4", "--steps", "2", "--quiet")
    assert "keras on jax" in done.stdout
    assert "precision of the code as written" not in done.stdout


@pytest.mark.parametrize("kind", ["pipe", "device", "folder", "large"])
def test_a_file_that_python_would_read_without_end_is_refused(kind, tmp_path):
    path = tmp_path / "model.py"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "folder":
        path.mkdir()
    else:
        path.touch()
        os.truncate(path, 2**36)  # a hole
    import_first(f"{path}:make")
    with pytest.raises(UsageError, match="is not a Python file"):
        user_module(str(path))


@pytest.mark.parametrize(
    "target", ["/dev/zero:x", "a\0.py:x", "a:b c", "a:", ":b", "a..b:c", "a.b", "1a:b", "a.py:b-c"]
)
def test_another_form_names_no_model(target):
    with pytest.raises(UsageError, match="names no callable"):
        split_target(target)


@pytest.mark.parametrize(
    "target", ["a b/model.py:make", "../m-1.py:A.b", "package.module:make", "paquet_é:créer"]
)
def test_files_and_modules_name_models(target):
    assert ":".join(split_target(target)) == target
