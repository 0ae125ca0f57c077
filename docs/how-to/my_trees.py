"""my_trees.py: a backend for residual networks and transformers; my_trees_program.py has its program."""

from harness.hookspecs import hookimpl
from harness.spec import (
    Backend,
    BinaryClassification,
    Classification,
    Plan,
    Program,
    Samples,
    Unsupported,
)


class MyTreesBackend(Backend):
    """Functions on PyTorch tensors in canonical layout, on the CPU."""

    name = "my-trees"
    summary = "trees of layers in functional PyTorch"
    modes = ("eager",)
    requires = ("torch>=2.6",)
    contract = 2  # without this line the harness declines trees, state, tokens, schedules and clipping

    def environment(self, threads: int) -> dict[str, str]:
        """Import PyTorch and limit its threads."""
        import torch

        torch.set_num_threads(threads)
        return {"engine": "torch", "torch": torch.__version__}

    def build(self, plan: Plan, data: Samples) -> Program:
        """Decline what the program does not compute, and build the rest."""
        task = plan.task
        if plan.device.startswith("cuda") or plan.precision == "bfloat16":
            raise Unsupported("my-trees computes on the CPU, in float32 and float64")
        if not isinstance(task.objective, Classification | BinaryClassification):
            raise Unsupported("my-trees trains classifiers")
        # These modules import PyTorch at their top level, which a plugin's own module must not.
        from my_trees_layers import FUNCTIONS
        from my_trees_program import MyTreesProgram

        for place in task.networks["model"].leaves():  # Residual and Skip are not among the leaves
            if type(place.layer) not in FUNCTIONS:
                raise Unsupported(f"my-trees has no {type(place.layer).__name__} layers")
        return MyTreesProgram(plan, data)


@hookimpl
def harness_backend(name: str) -> Backend | None:
    """Return the backend named ``my-trees``."""
    return MyTreesBackend() if name == MyTreesBackend.name else None
