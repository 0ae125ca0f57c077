"""Tasks as a command line defines them, and small tasks of given layers."""

from harness.core.plugins import registry
from harness.core.plugins.definition import define_task
from harness.core.plugins.options import parse_options
from harness.network import Network
from harness.spec.task import Classification, Sgd, Task


def defined(name="mlp", *assignments) -> Task:
    """Define a task with options ``assignments`` as ``--set`` has them."""
    definition = registry.task(name)
    return define_task(definition, parse_options(definition, assignments))


def small_task(inputs, *layers, **fields) -> Task:
    """Define a classification by a network of these layers."""
    network = Network(inputs, layers)
    usual = {"objective": Classification(), "optimizer": Sgd(0.5), "batch_size": 4, "epochs": 2}
    return Task(name="small", version=1, networks={"model": network}, **usual | fields)
