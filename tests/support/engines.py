"""Processes in which a framework compiles quickly: an engine of Keras needs one of its own."""

import os
import pickle
import subprocess
import sys
from pathlib import Path

#: Compilation takes most of the time of tests that train a few steps, and its result need not be fast.
QUICK_XLA = {"XLA_FLAGS": "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"}


def child_results(module: str, *arguments: object, folder: Path) -> dict:
    """What ``child(*arguments, path)`` of a test module beside the Keras tests writes in a new process."""
    path = folder / "results"
    call = f"import {module} as t; t.child(*{arguments!r}, {str(path)!r})"
    tests = Path(__file__).parents[1]
    python_path = os.pathsep.join(filter(None, [str(tests), os.environ.get("PYTHONPATH")]))
    subprocess.run(
        [sys.executable, "-c", call],
        check=True,
        cwd=tests / "backends",
        env=os.environ | QUICK_XLA | {"PYTHONPATH": python_path},
    )
    return pickle.loads(path.read_bytes())  # noqa: S301
