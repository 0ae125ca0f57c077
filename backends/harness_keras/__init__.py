"""The Keras backends, one for each engine: ``keras`` (TensorFlow), ``keras-jax`` and ``keras-torch``.

A framework is imported only in :meth:`KerasBackend.environment`, once per process.
"""

import importlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from harness.hookspecs import hookimpl
from harness.spec import LOSSES, Backend, Plan, Program, Samples, Unsupported

#: What each mode passes to ``model.compile`` as ``jit_compile``. ``auto`` is Keras's default: XLA on JAX,
#: XLA on TensorFlow where there is a GPU, plain kernels otherwise.
_JIT_COMPILE: dict[str, bool | str] = {"fit": "auto", "xla": True}


@dataclass(frozen=True)
class KerasBackend(Backend):
    """Keras 3 on one engine, trained with ``model.fit``."""

    name: str
    summary: str
    engine: str
    modes: tuple[str, ...]
    requires: tuple[str, ...]
    extra: str
    losses: tuple[str, ...] = LOSSES
    own_code: tuple[str, ...] = ("loss", "optimizer", "augment")
    sample_gradients: bool = True
    step_hooks: tuple[str, str] | None = ("keras", str(Path(__file__).with_name("step_hooks.py")))

    def environment(self, threads: int) -> dict[str, str]:
        """Import Keras on this engine and give it ``threads`` CPU threads."""
        if "keras" not in sys.modules:
            os.environ["KERAS_BACKEND"] = self.engine
            # Start-up messages would fill the last lines of standard error, which a failure shows.
            os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
            # Two processes that take turns must both fit on one GPU, so neither may allocate all its memory.
            os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
            os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
            # The plan chooses the device. On PyTorch Keras would use Apple's GPU regardless.
            os.environ.pop("KERAS_TORCH_DEVICE", None)
            if sys.platform == "darwin":
                os.environ["KERAS_TORCH_DEVICE"] = "cpu"
        import keras

        if keras.backend.backend() != self.engine:
            raise Unsupported(
                f"{self.name} needs Keras on {self.engine}, but this process has imported it on "
                f"{keras.backend.backend()}; each engine needs its own process"
            )
        return {"keras": keras.version(), **self._engine().prepare(threads)}

    def build(self, plan: Plan, data: Samples) -> Program:
        """Compile the model, with the training data on its device; raises as :meth:`Backend.build` does."""
        from harness_keras.program import KerasProgram

        return KerasProgram(self._engine(), plan, data, _JIT_COMPILE[plan.mode])

    def _engine(self) -> ModuleType:
        return importlib.import_module(f"harness_keras.{self.engine}_engine")


_BACKENDS = (
    KerasBackend(
        name="keras",
        summary="Keras on TensorFlow, model.fit",
        engine="tensorflow",
        modes=("fit", "xla"),
        requires=("keras>=3.8", "tensorflow>=2.18"),
        extra="keras",
    ),
    KerasBackend(
        name="keras-jax",
        summary="Keras on JAX, model.fit",
        engine="jax",
        # JAX always goes through XLA, so there is no second mode.
        modes=("fit",),
        requires=("keras>=3.8", "jax>=0.5"),
        extra="keras-jax",
    ),
    KerasBackend(
        name="keras-torch",
        summary="Keras on PyTorch, model.fit",
        engine="torch",
        # jit_compile, here torch.compile, took 30 s for the cnn's first step and made later steps 30 %
        # slower.
        modes=("fit",),
        requires=("keras>=3.8", "torch>=2.6"),
        extra="keras-torch",
    ),
)


@hookimpl
def harness_backend(name: str) -> Backend | None:
    """Return the backend of this name; there is one backend for each engine."""
    return next((backend for backend in _BACKENDS if backend.name == name), None)
