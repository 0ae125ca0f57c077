"""What ``harness --version`` prints."""

import platform
import subprocess
import sys
from importlib import metadata

import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.errors import UsageError

OWN = f"harness, version {metadata.version('dl-harness')}"


def test_the_version_is_one_line(harness):
    done = harness("--version")
    assert (done.returncode, done.stdout) == (0, f"{OWN}\n")


@pytest.mark.parametrize("arguments", [["--version", "-v"], ["-v", "--version"]])
def test_v_adds_python_and_the_frameworks_of_each_backend(arguments):
    done = CliRunner().invoke(cli, arguments)
    own, blank, *lines = done.stdout.splitlines()
    versions = dict(line.split(maxsplit=1) for line in lines)
    assert (own, blank, versions["python"]) == (OWN, "", platform.python_version())
    pytest.importorskip("torch")
    assert versions["torch"] == f"torch {metadata.version('torch')}"


def test_v_alone_says_what_it_belongs_to():
    with pytest.raises(UsageError, match="-v belongs to --version: harness --version -v"):
        cli.main(["-v"], standalone_mode=False)


def test_versions_are_read_without_importing_a_framework():
    script = (
        "import sys; from harness.cli.versions import version_text; version_text(verbose=True); "
        "print(sorted({'torch', 'tensorflow', 'keras', 'jax', 'pandas', 'mlflow'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
