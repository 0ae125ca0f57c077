"""A program built by a backend, unless the task is beyond the contract that the backend follows."""

from harness.spec.backend import Backend, Plan, Program, Unsupported
from harness.spec.contract import CONTRACT, beyond_first_contract
from harness.spec.data import Samples


def build(backend: Backend, plan: Plan, data: Samples) -> Program:
    """Build the program of a plan; raises what the backend raises.

    Raises:
        Unsupported: the backend follows an earlier version of the contract, which has not all of the task.
    """
    if backend.contract < CONTRACT and (newer := beyond_first_contract(plan.task)):
        raise Unsupported(f"backend {backend.name} follows version 1 of the contract, which has no {newer}")
    return backend.build(plan, data)
