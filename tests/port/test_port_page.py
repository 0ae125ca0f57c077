"""The Python of the guide to ports, as a reader would use it."""

import pytest
from support.pages import blocks

PAGE = "docs/how-to/check-a-port.md"
TORCH = """
import torch
from torch import nn

def make_model():
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(3, 10))
"""
KERAS = """
import keras
from keras import layers

def make_model():
    return keras.Sequential([keras.Input((32, 32, 3)), layers.GlobalAveragePooling2D(), layers.Dense(10)])
"""


@pytest.mark.slow
def test_the_guides_optimizers_and_its_test_fit_together(tmp_path, monkeypatch):
    optimizers, test = (block.text for block in blocks(PAGE, "python"))
    of_torch, of_keras = optimizers.split("# my_keras.py")
    (tmp_path / "my_torch.py").write_text(TORCH + of_torch)
    (tmp_path / "my_keras.py").write_text(KERAS + of_keras)
    monkeypatch.chdir(tmp_path)
    namespace = {}
    exec(test, namespace)  # noqa: S102  the guide's own test
    namespace["test_the_port_is_the_same"]()
