"""A gate's suite: which benchmarks to try and how much worse head may be, read from TOML.

From a file such as ``gate.toml``, whose top is the suite, or from ``[tool.harness.gate]`` of a
``pyproject.toml``.
"""

import math
import re
import tomllib
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import UsageError, unknown_name
from harness.spec import Precision

_PYPROJECT_TABLE = ("tool", "harness", "gate")
_PERCENT = re.compile(r"\s*([0-9.]+)\s*%\s*")
_POINTS = re.compile(r"\s*([0-9.]+)\s*points?\s*")
_SECONDS = re.compile(r"\s*([0-9.]+)\s*(s|min)\s*")
EXAMPLE = 'max_slowdown = "5%"'


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much worse head may be, as shares: 0.05 is 5 %. None: not judged.

    ``max_accuracy_loss``, a share of the score (0.01 is one point of accuracy), and ``max_extra_steps``
    say what is tolerated where head does other maths than base; without the former, other maths fail.
    """

    max_slowdown: float | None = 0.05
    max_first_step_slowdown: float | None = 0.5
    max_memory_growth: float | None = 0.1
    max_accuracy_loss: float | None = None
    max_extra_steps: float | None = 0.25
    max_speedup: float = 0.5
    """A larger saving than this share is not believed."""
