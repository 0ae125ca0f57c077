"""The PyTorch backend. torch is imported only when a worker asks for it."""

import importlib.metadata
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from harness.hookspecs import hookimpl
from harness.layers import Conv2D, ConvTranspose2D
from harness.spec import LOSSES, Backend, Plan, Samples, Task, Unsupported

if TYPE_CHECKING:
    from harness_torch.program import TorchProgram


class TorchBackend(Backend):
    """PyTorch: eager, compiled, or with pictures in channels-last memory."""

    name = "torch"
    summary = "PyTorch"
    modes = ("eager", "compile", "channels_last")
    requires = ("torch>=2.6",)
    extra = "torch"
    compilation_caches = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")
    losses = LOSSES
    sample_gradients = True
    own_code = ("loss", "optimizer", "augment")
    step_hooks = ("torch", str(Path(__file__).with_name("step_hooks.py")))

    def default_mode(self, task: Task) -> str:
        """Use channels-last memory where pictures are convolved.

        PyTorch's Performance Tuning Guide advises this for computer vision models, and so does its tutorial
        "Channels Last Memory Format in PyTorch". Elsewhere the formats do not differ.
        """
        layers = (place.layer for network in task.networks.values() for place in network.leaves())
        return "channels_last" if any(isinstance(x, Conv2D | ConvTranspose2D) for x in layers) else "eager"

    def environment(self, threads: int) -> dict[str, str]:
        """Import torch, set its threads, and report its version and build."""
        # With a cache on disk the first step would not include the compilation.
        os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"
        import torch

        torch.set_num_threads(threads)
        # NVIDIA's TF32 keeps only ten bits of the mantissa.
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        return {
            "engine": "torch",
            "torch": importlib.metadata.version("torch"),
            "cuda": torch.version.cuda or "none",
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
            "tf32": "off",
            "inductor_caches": "off",
        }

    def build(self, plan: Plan, data: Samples) -> "TorchProgram":
        from harness_torch.program import TorchProgram

        program = TorchProgram(plan, data)
        if plan.mode == "compile" and program.device == "cpu":
            _require_compiler()
        return program


def _require_compiler() -> None:
    """Raise :class:`Unsupported` if inductor will not find the C++ compiler that it needs."""
    compiler = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    if not shutil.which(compiler):
        raise Unsupported(
            f"torch.compile on the CPU needs a C++ compiler, but {compiler} is missing; install it "
            "(Debian: apt install g++) or name another one in CXX"
        )


@hookimpl
def harness_backend(name: str) -> Backend | None:
    """Return the backend named ``torch``."""
    return TorchBackend() if name == TorchBackend.name else None
