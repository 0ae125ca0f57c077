"""my_trees.py: a backend for residual networks and transformers; my_trees_program.py has its program."""

from harness.hookspecs import hookimpl
from harness.spec import LOSSES, Backend, Plan, Program, Samples, Unsupported


class MyTreesBackend(Backend):
    """Functions on PyTorch tensors in canonical layout, on the CPU."""

    name = "my-trees"
    summary = "trees of layers in functional PyTorch"
    modes = ("eager",)
    requires = ("torch>=2.6",)
    losses = LOSSES  # those of harness.backend_support.rules, which the program uses

    def environment(self, threads: int) -> dict[str, str]:
        """Import PyTorch and limit its threads."""
        import torch

        torch.set_num_threads(threads)
        return {"engine": "torch", "torch": torch.__version__}

    def build(self, plan: Plan, data: Samples) -> Program:
        """Decline what the program does not compute, and build the rest."""
        if plan.device.startswith("cuda"):
            raise Unsupported("my-trees computes on the CPU")
        # This module imports PyTorch at its top level, which a plugin's own module must not.
        from my_trees_program import MyTreesProgram

        MyTreesProgram.require_supported(plan)
        return MyTreesProgram(plan, data)


@hookimpl
def harness_backend(name: str) -> Backend | None:
    """Return the backend named ``my-trees``."""
    return MyTreesBackend() if name == MyTreesBackend.name else None
