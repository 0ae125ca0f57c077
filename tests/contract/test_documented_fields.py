"""``help()`` of a class of the contract documents every field of it, as the contract page does."""

import inspect
import re

import pytest

from harness import layers, network, spec

CLASSES = [
    cls
    for module in (spec, layers, network)
    for name, cls in vars(module).items()
    if isinstance(cls, type) and cls.__module__.startswith("harness.") and not name.startswith("_")
]


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_every_field_is_documented(cls):
    text = inspect.getdoc(cls) or ""
    named = set(re.findall(r"\w+", text))
    fields = {name for name in inspect.get_annotations(cls) if not name.startswith("_")} - {
        "takes_axes",
        "gates",
    }
    assert fields <= named, f"{cls.__name__}: {sorted(fields - named)}"
