"""The steps on the page about steps of the user's own: each does the same work in two processes."""

import importlib.util
import re

import pytest
from support.pages import PAGES, blocks

from harness.core.plugins.configuration import Configuration
from harness.timing.engine.steps.equal_work import observe_work
from harness.timing.engine.steps.own import OwnStep
from harness.timing.engine.steps.process import StepTarget

PAGE = "docs/how-to/gate-your-own-step.md"
TEXT = PAGES[PAGE].read_text()
#: The file that is named before each block of Python.
FILES = dict(re.findall(r"`(\w+\.py)`[^`]*```python\n(.*?)```", TEXT, flags=re.DOTALL))
NEEDS = {
    "bench.py": "torch",
    "bench_keras.py": "keras",
    "bench_jax.py": "jax",
    "bench_lightning.py": "lightning",
    "bench_transformers.py": "transformers",
    "bench_plain.py": "math",
}
#: What the reader has: the package that bench.py imports.
TRAIN = """
import torch
Net = lambda: torch.nn.Linear(20, 10)
def loss_of(model, batch):
    return torch.nn.functional.cross_entropy(model(batch[0]), batch[1])
def loader(batch_size):
    while True:
        yield torch.randn(batch_size, 20), torch.randint(0, 10, (batch_size,))
"""


def test_every_framework_has_a_block():
    assert set(FILES) == set(NEEDS)
    assert len([line for line in FILES["bench.py"].splitlines() if line.strip()]) <= 15


@pytest.mark.parametrize(
    "file",
    [
        pytest.param(
            file, marks=pytest.mark.slow if file in {"bench.py", "bench_plain.py"} else pytest.mark.long
        )
        for file in FILES
    ],
)
def test_a_step_of_the_page_is_deterministic(file, tmp_path):
    if importlib.util.find_spec(NEEDS[file]) is None:
        pytest.skip(f"{NEEDS[file]} is not installed")
    (tmp_path / file).write_text(FILES[file])
    (tmp_path / "train.py").write_text(TRAIN)
    target = StepTarget(target=f"{file}:make_step", folder=str(tmp_path))
    step = OwnStep(label=file, configuration=Configuration("", "", "cpu", 1), target=target)
    values, is_deterministic = observe_work(step, calls=3)
    assert is_deterministic
    assert len(values) == 3


def test_the_workflow_comments_in_a_job_that_runs_no_code_of_the_pull_request():
    yaml = pytest.importorskip("yaml")
    (block,) = blocks(PAGE, "yaml")
    document = yaml.safe_load(block.text)
    assert (document[True], document["permissions"]) == ("pull_request", {"contents": "read"})
    gate, comment = document["jobs"].values()
    assert "permissions" not in gate
    assert comment["permissions"] == {"pull-requests": "write"}
    assert not any("checkout" in step.get("uses", "") for step in comment["steps"])
    assert not any("harness" in step.get("run", "") for step in comment["steps"])
    assert all(len({"uses", "run"} & set(step)) == 1 for step in [*gate["steps"], *comment["steps"]])
    assert "secrets." not in block.text
    (own,) = [step for step in gate["steps"] if "/actions/gate@" in step.get("uses", "")]
    assert own["with"]["comment"] == "false"
    (kept,) = [step for step in gate["steps"] if "upload-artifact" in step.get("uses", "")]
    assert kept["with"]["path"] == f"${{{{ steps.{own['id']}.outputs.folder }}}}"
