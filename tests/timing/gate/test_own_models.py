"""A gate of a model of the user's own: base must be trained with base's code."""

import sys

import pytest
from support.command import python

from harness.core.models.task_file import Choice, TaskData, task_file
from harness.layers import Native, NativeArray, NativeModel
from harness.tracing.calls import InputShape, Stored
from harness.tracing.user_code import is_file

SUITE = '[benchmarks.own]\nbackend = "torch"\ntask = "own"\ndataset = "digits"\n'


def task_of(target):
    kernel = NativeArray("fc/kernel", (3072, 10), 0.01, {"torch": Stored("fc.weight", axes=(1, 0))})
    layer = Native((NativeModel("torch", target),), (kernel,), (10,))
    data = TaskData("digits", InputShape((32, 32, 3)), (), 10)
    return task_file("own", [Choice({}, layer)], data, "run --backend torch")


def test_a_model_named_by_its_file_is_refused(harness, snapshot):
    """The file is the same for both, so a gate would compare head with itself."""
    (harness.folder / "gate.toml").write_text(SUITE)
    (harness.folder / "own_task.py").write_text(task_of("own.py:make"))
    done = harness("gate", "--base-python", sys.executable, "--plugin", "own_task.py")
    assert (done.returncode, done.stderr) == (2, snapshot)


@pytest.mark.parametrize(
    ("target", "file"), [("own.py:make", True), ("a/b.py:make", True), ("own.models:make", False)]
)
def test_files_and_modules_are_told_apart(target, file):
    assert is_file(target) == file


def test_an_installed_module_is_preferred_to_one_of_the_current_folder(tmp_path):
    """The current folder is head's; base has its own module installed."""
    for name in ("base", "head"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "own_models.py").write_text(f"def make(): return {name!r}")
    (tmp_path / "head" / "only_here.py").write_text("def make(): return 'current folder'")
    code = (
        "import sys; sys.path.remove(''); from harness.tracing.user_code import make_model\n"
        "print(*[make_model(target, {}) for target in sys.argv[1:]], sep=', ')"
    )
    environment = {"PYTHONPATH": f"{tmp_path / 'base'}:{':'.join(sys.path)}"}
    made = python(code, "own_models:make", "only_here:make", cwd=tmp_path / "head", env=environment)
    assert made == "base, current folder\n"
