"""The skeleton of a kind of study, for ``harness new study``."""

import functools

from harness.core.plugins import registry
from harness.core.plugins.loading import GROUPS, LABELS
from harness.core.shell.features import Skeleton

SKELETON = Skeleton(
    LABELS["study"],
    "how wide the network must be",
    "harness.learning.study:skeleton",
    GROUPS["study"],
    "harness study {name} --backend torch --quick",
    functools.partial(registry.names, "study"),
)
