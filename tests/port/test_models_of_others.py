"""Models of torchvision and transformers against those of keras.applications and keras-hub."""

from importlib.util import find_spec

import msgspec
import pytest
from support.planted_ports import MODELS

from harness.port.record import PortRecord

pytestmark = pytest.mark.long

PICTURE = ["--input", "64,64,3"]
TOKENS = ["--input", "8", "--dtype", "int", "--max", "50"]
MASK = ["--input", "8", "--dtype", "int", "--max", "2"]
INPUTS = {"bert": [*MASK, *MASK, *TOKENS], "gpt2": [*MASK, *TOKENS]}
NEEDED = {"bert": ("transformers", "keras_hub"), "gpt2": ("transformers", "keras_hub")}


def compared(harness, model, *faults):
    for name in (*NEEDED.get(model, ("torchvision",)), "tensorflow"):
        if find_spec(name) is None:
            pytest.skip(f"{name} is not installed")
    sides = (f"{MODELS}/others_keras.py:{model}", f"{MODELS}/others_torch.py:{model}")
    inputs = INPUTS.get(model, PICTURE)
    done = harness("port", *sides, *inputs, "--set-b", f"faults={faults!r}", "--quiet", "--format", "json")
    return msgspec.json.decode(done.stdout, type=PortRecord).findings


@pytest.mark.parametrize(
    "model", ["mobilenet", "efficientnet", "densenet", "convnext", "resnet50", "bert", "gpt2"]
)
def test_no_right_port_is_accused(harness, model):
    findings = compared(harness, model)
    assert findings.verdict.startswith("equal"), findings.causes
    assert not findings.parameters.unmatched_a
    assert not findings.parameters.unmatched_b


@pytest.mark.parametrize(
    ("model", "fault", "kind"),
    [
        ("mobilenet", "epsilon", "epsilon"),
        ("mobilenet", "padding", "padding"),
        ("mobilenet", "momentum", "momentum"),
        ("efficientnet", "activation", "activation"),
        ("densenet", "pooling", "pooling"),
        ("convnext", "GELU", "GELU"),
        ("convnext", "missing call", "missing call"),
        ("resnet50", "pooling", "pooling"),
        ("bert", "gradient", "gradient"),
        ("bert", "GELU", "GELU"),
        ("gpt2", "attention scale", "missing call"),
        ("gpt2", "epsilon", "epsilon"),
    ],
)
def test_a_planted_fault_is_named(harness, model, fault, kind):
    findings = compared(harness, model, fault)
    assert findings.verdict == "different"
    assert kind in {cause.kind for cause in findings.causes if not cause.harmless}
