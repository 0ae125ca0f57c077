"""my_jax.py: a backend in JAX for classification of pictures; my_jax_program.py has its program."""

from harness.hookspecs import hookimpl
from harness.layers import Conv2D, Dense, Dropout, Flatten, MaxPool2D
from harness.spec import LOSSES, Backend, Classification, Plan, Program, Samples, Unsupported

LAYERS = (Conv2D, Dense, Dropout, Flatten, MaxPool2D)


class MyJaxBackend(Backend):
    """A compiled training step, on the CPU."""

    name = "my-jax"
    summary = "pictures in JAX, compiled"
    modes = ("jit",)
    requires = ("jax>=0.5",)
    losses = LOSSES  # those of harness.backend_support.rules, which the program uses

    def environment(self, threads: int) -> dict[str, str]:
        """Import JAX. Its threads are limited by the CPUs to which the harness has bound the process."""
        import jax

        jax.config.update("jax_platforms", "cpu")
        # A cache on disk would hide the compilation in the first step of every run but the very first.
        jax.config.update("jax_enable_compilation_cache", False)
        return {"engine": "jax", "jax": jax.__version__}

    def build(self, plan: Plan, data: Samples) -> Program:
        """Decline what the program does not compute, and build the rest."""
        task = plan.task
        if plan.device.startswith("cuda"):
            raise Unsupported("my-jax runs on the CPU; use --device cpu")
        if plan.precision == "bfloat16":
            raise Unsupported("my-jax computes in float32 and float64")
        if not isinstance(task.objective, Classification):
            raise Unsupported("my-jax trains classifiers")
        for place in task.networks["model"].placed():
            if not isinstance(place.layer, LAYERS):
                raise Unsupported(f"my-jax has no {type(place.layer).__name__} layers")
            if getattr(place.layer, "activation", None) not in {None, "relu"}:
                raise Unsupported("my-jax has no activation but ReLU")
        # This module imports JAX at its top level, which a plugin's own module must not.
        from my_jax_program import MyJaxProgram

        return MyJaxProgram(plan, data)


@hookimpl
def harness_backend(name: str) -> Backend | None:
    """Return the backend named ``my-jax``."""
    return MyJaxBackend() if name == MyJaxBackend.name else None
