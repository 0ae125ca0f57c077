"""What a side's process imports before it forks."""

import pytest

from harness.tracing.user_code import _first_imports

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
    assert list(_first_imports(source)) == imported


@pytest.mark.slow
def test_both_models_have_the_engine_that_their_file_names(harness, tmp_path):
    model = "def make():\n    return keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(3)])\n"
    (tmp_path / "model.py").write_text(ENGINE + model)
    side = f"{tmp_path}/model.py:make"
    done = harness("port", side, side, "--input", "4", "--steps", "2", "--quiet")
    assert "keras on jax" in done.stdout
    assert "precision of the code as written" not in done.stdout
