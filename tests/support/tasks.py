"""Tasks as a command line defines them, small tasks of given layers, and workloads for duels and gates."""

import msgspec

from harness.core.plugins import registry
from harness.core.plugins.configuration import Configuration
from harness.core.plugins.definition import define_task
from harness.core.plugins.options import parse_options
from harness.network import Network
from harness.spec.task import Classification, Sgd, Task
from harness.timing.engine.workloads import Workload

TORCH = Configuration("torch", "eager", "cpu", threads=1)


def defined(name="mlp", *assignments) -> Task:
    """A task with options as ``--set`` has them."""
    definition = registry.task(name)
    return define_task(definition, parse_options(definition, assignments))


def small_task(inputs, *layers, **fields) -> Task:
    """A classification by a network of these layers."""
    network = Network(inputs, layers)
    usual = {"objective": Classification(), "optimizer": Sgd(0.5), "batch_size": 4, "epochs": 2}
    return Task(name="small", version=1, networks={"model": network}, **usual | fields)


def workload(label="torch", *assignments, task=None, **changes) -> Workload:
    """The training of ``mlp``, or of a task; ``changes`` are of the configuration."""
    definition = registry.task("mlp")
    return Workload(
        label=label,
        configuration=msgspec.structs.replace(TORCH, **changes),
        task=task or defined("mlp", *assignments),
        options=msgspec.structs.asdict(parse_options(definition, assignments)),
    )
