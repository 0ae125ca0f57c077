"""Two versions of a package: what pip is asked for, which backend is meant, and what the verdict says."""

import subprocess
import sys
import zipfile
from importlib import metadata

import msgspec
import pytest
from support.made_gates import fixed_gates

from harness.core.documents.document import plain
from harness.errors import UsageError
from harness.timing.environments.requirements import own_wheel, requirements_of
from harness.timing.environments.suite import Benchmark, Suite
from harness.timing.gate.page import gate_document
from harness.timing.gate.record import Upgrade
from harness.timing.gate.upgrade_command import backend_of, suite_of_tasks
from harness.timing.gate.words import upgrade_headline


def test_a_comma_before_an_operator_belongs_to_its_requirement():
    assert requirements_of("jax==0.5.3, jaxlib>=0.5,<0.6", "OLD") == ["jax==0.5.3", "jaxlib>=0.5,<0.6"]
    assert requirements_of("jax[cuda12,k8s]==0.5.3,numpy", "OLD") == ["jax[cuda12,k8s]==0.5.3", "numpy"]


def test_the_backend_is_the_one_that_requires_the_package():
    assert backend_of(["torch==2.8.0"]) == "torch"
    assert backend_of(["jaxlib==0.5.3", "jax==0.5.3"]) == "jax"
    assert backend_of(["tensorflow==2.20"]) == "keras"
    with pytest.raises(UsageError, match="no backend requires tabulate"):
        backend_of(["tabulate==0.9"])


def test_the_wheel_of_this_harness_has_its_plugins_and_installs(tmp_path):
    with own_wheel() as package, package.checkout() as checkout:
        wheel = checkout.folder / package.requirement
        names = zipfile.ZipFile(wheel).namelist()
        target = tmp_path / "installed"
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
        subprocess.run([*pip, "--target", str(target), str(wheel)], check=True, capture_output=True)
    assert {"harness/__init__.py", "harness_torch/__init__.py", "harness/core/documents/render/page.css"} <= {
        *names
    }
    assert not [name for name in names if name.endswith(".pyc")]
    (found,) = metadata.distributions(path=[str(target)])
    assert found.name == "dl-harness"
    assert len(found.entry_points.select(group="harness.tasks")) >= 8


def test_the_headline_states_results_and_changes_over_all_benchmarks():
    (gate,) = fixed_gates([1.0])
    record = msgspec.structs.replace(gate, upgrade=Upgrade(["torch==2.8.0"], ["torch==2.13.0"]))
    text = upgrade_headline(record)
    assert text.split("; ")[0].startswith("safe: the same results")
    assert "step " in text
    document = gate_document(record)
    assert document.title == "Upgrade from torch==2.8.0 to torch==2.13.0"
    assert plain(document.headline[0]).endswith(text)


def test_a_suite_has_tasks_unless_all_are_steps():
    step = Benchmark(name="step", step="bench.py:make_step")
    assert not Suite(file="", benchmarks=(step,)).has_tasks
    assert suite_of_tasks(["mlp"], "torch", 1).has_tasks
