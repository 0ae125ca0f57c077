"""What tests of the pytest plugin share: test files, interpreters, saved results."""

import json
import sys
from pathlib import Path

#: The backend sleeps, so more turns and processes would not reduce any noise.
QUICK = "certify=False, pairs=2, turns=2"
STEP = f"""
def test_step(harness_benchmark):
    harness_benchmark("paced", "mlp", {QUICK})
"""
#: Each call writes its own seconds, as the step of the backend does with PACED_CLOCK.
CALL = """
import time

def sleep(seconds):
    start = time.perf_counter()
    time.sleep(seconds)
    with open("clock-of-calls", "a") as file:
        print(time.perf_counter() - start, file=file)
    return "slept"

def test_call(harness_benchmark):
    assert harness_benchmark(sleep, 0.02, turns=3) == "slept"
"""
DYING = """
def test_step(harness_benchmark):
    harness_benchmark("paced", "mlp", mode="dies", turns=2)
"""
SELF = f"--harness-base-python={sys.executable}"


def saved(path):
    """The benchmarks in a file of pytest-benchmark, by name."""
    return {each["name"]: each for each in json.loads(Path(path).read_text())["benchmarks"]}


def interpreter(path, **variables):
    """This interpreter with some variables set, to serve as base or head."""
    words = " ".join(f"{name}={value}" for name, value in variables.items())
    path.write_text(f'#!/bin/sh\nexec env {words} {sys.executable} "$@"\n')
    path.chmod(0o755)
    return path


def workers(pytester):
    mine = str(pytester.path / "data").encode()
    pids = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command, variables = (folder / "cmdline").read_bytes(), (folder / "environ").read_bytes()
        except OSError:
            continue
        if b"harness.core.worker" in command and mine in variables:
            pids.append(folder.name)
    return pids
