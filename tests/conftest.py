"""Running the command as a user does: a real process, a folder of its own, an empty data cache."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

PLUGINS = Path(__file__).parent / "plugins"
COMMAND = [sys.executable, "-m", "harness"]


@dataclass
class HarnessCommand:
    """Calls ``harness`` in ``folder``; ``faulty`` plugins are installed, CIFAR-10 is not here."""

    folder: Path
    environment: dict[str, str]

    def __call__(self, *arguments: str, timeout: float = 250, **variables: str):
        return subprocess.run(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment | variables,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start(self, *arguments: str) -> subprocess.Popen:
        return subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def records(self) -> list[dict]:
        return [json.loads(path.read_text()) for path in sorted(self.folder.glob("results/runs/*.json"))]


@pytest.fixture
def harness(tmp_path):
    (tmp_path / "work").mkdir()
    # A proxy that nobody answers: no test depends on whether this machine has internet.
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, [str(PLUGINS), os.environ.get("PYTHONPATH")])),
        "HARNESS_DATA_DIR": str(tmp_path / "data"),
        "https_proxy": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
    }
    environment.pop("COLUMNS", None)
    return HarnessCommand(tmp_path / "work", environment)
