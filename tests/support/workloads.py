"""Workloads for the tests of duels and gates."""

import msgspec

from harness.core.plugins import registry
from harness.core.plugins.configuration import Configuration
from harness.core.plugins.options import parse_options
from harness.timing.engine.workloads import Workload
from support.tasks import defined

TORCH = Configuration("torch", "eager", "cpu", threads=1)


def workload(label="torch", *assignments, task=None, **changes) -> Workload:
    """Return the training of ``mlp``, or of ``task``; ``changes`` are of the configuration."""
    definition = registry.task("mlp")
    return Workload(
        label=label,
        configuration=msgspec.structs.replace(TORCH, **changes),
        task=task or defined("mlp", *assignments),
        options=msgspec.structs.asdict(parse_options(definition, assignments)),
    )
