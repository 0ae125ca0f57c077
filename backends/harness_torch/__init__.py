"""The PyTorch backend. Nothing here imports torch until a worker asks for it."""

import importlib.metadata
import os
import shutil
import sys
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
        # A compilation that a cache on disk answers would be a first step that was never timed.
        os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"
        import torch

        torch.set_num_threads(threads)
        # float32 is float32: NVIDIA's TF32 keeps ten bits of the mantissa.
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
        return {
            "engine": "torch",
            "torch": importlib.metadata.version("torch"),
            "cuda": torch.version.cuda or "none",
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
            "debug_build": str(bool(torch.version.debug)).lower(),
            "tf32": "off",
            "inductor_caches": "off",
        }

    def build(self, plan: Plan, data: Samples) -> "TorchProgram":
        """See :meth:`harness.spec.Backend.build`."""
        from harness_torch.program import TorchProgram

        program = TorchProgram(plan, data)
        if plan.mode == "compile" and program.device == "cpu":
            _require_compiler()
        return program


def _require_compiler() -> None:
    """Raises :class:`Unsupported` where inductor will not find the C++ compiler that it looks for."""
    compiler = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")
    if not shutil.which(compiler):
        raise Unsupported(
            f"torch.compile on the CPU needs a C++ compiler and {compiler} is not there; install it "
            "(on Debian: apt install g++) or name another in CXX"
        )


@hookimpl
def harness_backend(name: str) -> Backend | None:
    """The backend named ``torch``."""
    return TorchBackend() if name == TorchBackend.name else None
