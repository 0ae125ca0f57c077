"""Completion: what is offered, one line in a real shell, and what it may not import."""

import os
import subprocess
import sys

import pytest
from support.command import complete


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("harness rep", ["reproduce", "report"]),
        ("harness run --task ml", ["mlp"]),
        ("harness run --task mlp,rn", ["mlp,rnn"]),
        ("harness run --backend keras-", ["keras-jax", "keras-torch"]),
        ("harness run --dataset mn", ["mnist1d"]),
        ("harness run --bac", ["--backend"]),
        ("harness nothing x", []),
    ],
)
def test_names_are_completed(line, offered):
    assert complete(line) == offered


def test_modes_are_offered_once_the_backend_is_complete():
    assert {"torch", "torch:eager", "torch:compile"} <= set(complete("harness run --backend torch"))


def test_records_are_offered_newest_first(quick):
    for folder, name in (("runs", "20260101-a"), ("duels", "20260102-b"), ("other", "20260103-c")):
        path = quick.folder / "results" / folder / f"{name}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert complete("harness show ") == ["last", "20260103-c", "20260102-b", "20260101-a"]
    assert complete("harness show 20260102") == ["20260102-b"]


def test_bash_completes_names(harness):
    binary = harness.folder / "harness"
    binary.write_text(f'#!/bin/sh\nexec {sys.executable} -m harness "$@"\n')
    binary.chmod(0o755)
    script = (
        'eval "$(_HARNESS_COMPLETE=bash_source harness)"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
        "_harness_completion harness; printf '%s\\n' \"${COMPREPLY[@]}\""
    )
    done = subprocess.run(
        ["bash", "-c", script, "bash", "harness", "run", "--task", "mlp,rn"],
        cwd=harness.folder,
        env=harness.environment | {"PATH": f"{harness.folder}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("mlp,rnn\n", "")
