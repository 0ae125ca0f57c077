"""Git ignores what commands write into the results folder of this repository."""

import shutil
import subprocess
from pathlib import Path

import pytest

from harness.core.runs.claims import FOLDER
from harness.core.shell.features import records

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(
    shutil.which("git") is None or not (ROOT / ".git").exists(), reason="this is no checkout of git"
)
def test_records_and_claims_are_ignored():
    folders = {kind.folder for kind in records().kinds} | {FOLDER, "tensorboard"}
    names = {f"results/{folder}/name": folder for folder in folders}
    done = subprocess.run(
        ["git", "check-ignore", *names], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert {names[line] for line in done.stdout.splitlines()} == folders
