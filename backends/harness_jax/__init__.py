"""The JAX backend. jax is imported only when a worker asks for it."""

import importlib.metadata
import os
from pathlib import Path
from typing import TYPE_CHECKING

from harness.hookspecs import hookimpl
from harness.spec import LOSSES, Backend, Plan, Samples

if TYPE_CHECKING:
    from harness_jax.program import JaxProgram


class JaxBackend(Backend):
    """Plain JAX: pure functions, and a compiled training step that a loop of Python calls."""

    name = "jax"
    summary = "JAX, a compiled function for each step"
    modes = ("jit",)
    requires = ("jax>=0.5",)
    extra = "jax"
    losses = LOSSES
    own_code = ("loss", "optimizer", "augment")
    sample_gradients = True
    step_hooks = ("jax", str(Path(__file__).with_name("step_hooks.py")))

    def environment(self, threads: int) -> dict[str, str]:
        """Import jax and report its version; no device is initialised yet.

        The harness has bound this process to ``threads`` CPUs, because XLA obeys no other limit.
        """
        # Two processes that take turns must both fit on one GPU, so neither may allocate all its memory.
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
        import jax

        # By default a GPU may round float32 operands to TF32.
        jax.config.update("jax_default_matmul_precision", "highest")
        # With a cache on disk the first step would not include the compilation.
        jax.config.update("jax_enable_compilation_cache", False)
        return {
            "engine": "jax",
            "jax": jax.__version__,
            "jaxlib": importlib.metadata.version("jaxlib"),
            "matmul_precision": "highest",
            "compilation_cache": "off",
        }

    def build(self, plan: Plan, data: Samples) -> "JaxProgram":
        from harness_jax.program import JaxProgram

        return JaxProgram(plan, data)


@hookimpl
def harness_backend(name: str) -> Backend | None:
    """Return the backend named ``jax``."""
    return JaxBackend() if name == JaxBackend.name else None
