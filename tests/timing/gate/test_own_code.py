"""Each side of a gate runs its own code, installed or from its checkout."""

import json
import sys

import pytest
from support.repository import add_commit

#: Values alone are compared, which takes no pairs.
LIMITS = ("max_slowdown", "max_first_step_slowdown", "max_memory_growth")
SUITE = (
    "".join(f'{limit} = "off"\n' for limit in LIMITS) + '[benchmarks.train]\nstep = "bench.py:make_step"\n'
)
FILES = {
    "bench.py": "from ownnet import trainer\ndef make_step():\n    return trainer.train\n",
    "ownnet/__init__.py": "",
    "ownnet/trainer.py": "def train():\n    return 1.0\n",
    "gate.toml": SUITE,
    ".gitignore": "results/\n__pycache__/\ndata/\n",
}


@pytest.fixture
def repository(harness):
    add_commit(harness.folder, FILES)
    return harness.folder


def gated(harness, code, *options, **variables):
    """The only benchmark of a gate that ends with this exit code."""
    done = harness("gate", *(options or ("--base", "HEAD")), "--format", "json", **variables)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)["benchmarks"][0] if code in (0, 1, 4) else done.stderr.splitlines()[-1]


def test_an_interpreter_as_base_does_not_import_head(harness, repository):
    message = gated(harness, 2, "--base-python", sys.executable)
    assert "it imports ownnet/__init__.py, the code of head: install base's version" in message


def test_installed_code_comes_first_for_an_interpreter_as_base(harness, repository, tmp_path):
    packages = tmp_path / "site-packages"
    add_commit(packages, {"ownnet/__init__.py": "", "ownnet/trainer.py": "def train():\n    return 2.0\n"})
    path = f"PYTHONPATH={packages}"
    benchmark = gated(harness, 1, "--base-python", sys.executable, "--base-env", path)
    assert benchmark["quality"]["values"]["difference"]["base"] == 2.0
    assert benchmark["quality"]["values"]["difference"]["head"] == 1.0


def test_files_read_by_relative_paths_are_those_of_each_commit(harness, repository):
    trainer = (
        "import json, os\n"
        'RATE = json.load(open("rates.json"))\n'
        'DATA = len(open("data/numbers").read())\n'
        "def train():\n    return RATE + DATA\n"
    )
    (repository / "data").mkdir()
    (repository / "data" / "numbers").write_text("12")
    add_commit(repository, {"ownnet/trainer.py": trainer, "rates.json": "1.0"})
    assert gated(harness, 0)["verdict"] == "PASS"
    (repository / "rates.json").write_text("2.0")
    assert gated(harness, 1)["quality"]["values"]["difference"]["base"] == 3.0
