"""The Python of the guide to ports, as a reader would use it."""

import msgspec
import pytest
from support.made_ports import made_port
from support.pages import blocks

from harness.port.page import port_document

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


@pytest.mark.parametrize(
    ("verdict", "steps", "ending"),
    [
        ("equal", 20, "compute the same, and train the same for 20 steps."),
        ("equal up to", 1, "compute the same, and train the same for 1 step."),
        ("equal", 0, "compute the same; training was not compared."),
        ("undecided", 0, "could not be compared in all parts."),
    ],
)
def test_the_verdict_says_what_was_trained(verdict, steps, ending):
    record = made_port()
    findings = msgspec.structs.replace(record.findings, verdict=verdict, same_steps=steps)
    headline = port_document(msgspec.structs.replace(record, findings=findings)).headline
    assert str(headline[0]).endswith(ending)
