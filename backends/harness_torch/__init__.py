"""The PyTorch backend. Nothing here imports torch until a worker asks for it."""

import importlib.metadata
import os
import shutil
from typing import TYPE_CHECKING

from harness.hookspecs import hookimpl
from harness.spec import Backend, Plan, Samples, Unsupported

if TYPE_CHECKING:
    from harness_torch.program import TorchProgram


class TorchBackend(Backend):
    """PyTorch run eagerly, compiled, or with pictures stored channels last."""

    name = "torch"
    summary = "PyTorch"
    modes = ("eager", "compile", "channels_last")
    requires = ("torch>=2.6",)
    extra = "torch"

    def environment(self, threads: int) -> dict[str, str]:
        """Import torch, set its threads, and report its version and build."""
        import torch

        torch.set_num_threads(threads)
        return {
            "engine": "torch",
            "torch": importlib.metadata.version("torch"),
            "cuda": torch.version.cuda or "none",
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
            "debug_build": str(bool(torch.version.debug)).lower(),
        }

    def build(self, plan: Plan, data: Samples) -> "TorchProgram":
        """See :meth:`harness.spec.Backend.build`."""
        from harness_torch.program import TorchProgram

        if plan.mode == "compile" and plan.device in ("auto", "cpu"):
            compiler = os.environ.get("CXX") or "g++"
            if not shutil.which(compiler) and not shutil.which("clang++"):
                raise Unsupported(
                    "torch.compile on the CPU needs a C++ compiler and found none (g++ or clang++; "
                    "on Debian: apt install g++)"
                )
        return TorchProgram(plan, data)


@hookimpl
def harness_backend(name: str) -> Backend | None:
    """The backend named ``torch``."""
    return TorchBackend() if name == TorchBackend.name else None
