"""The skeletons of ``harness new`` run before anything is changed, and nothing is overwritten."""

import ast
import os
import subprocess
import sys
import tomllib

import pytest
from support.pages import module

from harness.core.shell.commands.new import files_of, skeletons
from harness.core.shell.features import built_in

KINDS = ("backend", "task", "dataset", "command", "study")
WORDS = {
    "backend": "declines every task",
    "task": "logistic regression",
    "dataset": "a bright bar",
    "command": "matrix products",
    "study": "how wide the network must be",
}
FURTHER = {"backend": ("layers", "program"), "command": ("record", "command", "page")}
POINTS = {
    "command": ("harness.features", "harness_my_own_plugin:FEATURE"),
    "study": ("harness.studies", "harness_my_own_plugin"),
}


def written(harness, kind, name="own-plugin"):
    harness.ok("new", kind, name)
    return harness.folder / f"harness-{name}"


def module_run(folder, *arguments, env=None):
    """What ``python -m`` prints, which must succeed."""
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize("kind", KINDS)
def test_every_file_of_a_skeleton_can_be_read(kind):
    files = files_of(skeletons()[kind], kind, "my.own-plugin")
    further = [f"harness_my_own_plugin_{part}.py" for part in FURTHER.get(kind, ())]
    modules = ["harness_my_own_plugin.py", *further]
    assert list(files) == ["pyproject.toml", "README.md", *modules, "tests/test_harness_my_own_plugin.py"]
    project = tomllib.loads(files["pyproject.toml"])
    assert project["project"]["name"] == "harness-my.own-plugin"
    group, target = POINTS.get(kind, (f"harness.{kind}s", "harness_my_own_plugin"))
    assert project["project"]["entry-points"] == {group: {"my.own-plugin": target}}
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"] == modules
    for path, text in files.items():
        assert "$" not in text
        if path.endswith(".py"):
            ast.parse(text)
            assert max(map(len, text.splitlines())) <= 110
    assert WORDS[kind] in files["harness_my_own_plugin.py"]


@pytest.mark.parametrize("kind", KINDS)
def test_the_code_of_a_skeleton_passes_the_linter(harness, kind):
    pytest.importorskip("ruff")
    folder = written(harness, kind)
    for arguments in (("check", "--select", "E,F,W,I,N,UP,B,SIM"), ("format", "--check")):
        module_run(folder, "ruff", *arguments, "--config", "pyproject.toml", "--no-cache", ".")


@pytest.mark.parametrize(
    "kind", ["backend", *(pytest.param(kind, marks=pytest.mark.long) for kind in KINDS[1:])]
)
def test_the_tests_of_a_skeleton_pass(harness, kind):
    folder = written(harness, kind)
    assert " passed" in module_run(folder, "pytest", "-q", "-p", "no:cacheprovider", env=harness.environment)


def checked(harness, folder, *arguments):
    """``harness check`` of the plugin in this folder, as if it was installed."""
    path = os.pathsep.join([str(folder), harness.environment.get("PYTHONPATH", "")])
    file = str(folder / "harness_own_plugin.py")
    return harness("check", "own-plugin", *arguments, "--plugin", file, PYTHONPATH=path)


def test_the_backend_declines_every_case_with_its_reason(harness):
    done = checked(harness, written(harness, "backend"), "--task", "mlp")
    assert done.returncode == 1, done.stderr
    assert "no Flatten layers" in done.stdout
    assert "DEVIATES" not in done.stdout


#: What a reader who has PyTorch writes in place of what the skeleton leaves open, in order.
FUNCTIONS = {
    "dropout": """if call.draws is None or not call.layer.rate:
        return x
    generator = torch.Generator().manual_seed(call.draws.seed())
    kept = torch.rand(x.shape, generator=generator, dtype=x.dtype) >= call.layer.rate
    return torch.where(kept, x / (1 - call.layer.rate), 0.0)""",
    "layer_norm": """y = x - x.mean(-1, keepdim=True)
    y = y / (y.square().mean(-1, keepdim=True) + call.layer.epsilon).sqrt()
    return y * call.weights["scale"] + call.weights["bias"]""",
    "batch_norm": """mean, variance = call.weights["running_mean"], call.weights["running_variance"]
    if call.draws is not None:
        rate, axes, before = call.layer.update_rate, tuple(range(x.ndim - 1)), (mean, variance)
        mean, variance = x.mean(axes), x.var(axes, correction=0)
        latest = mean, x.var(axes, correction=1)
        for name, old, new in zip(("running_mean", "running_variance"), before, latest, strict=True):
            call.state[name] = (old + rate * (new - old)).detach()
    y = (x - mean) / (variance + call.layer.epsilon).sqrt()
    return y * call.weights["scale"] + call.weights["bias"]""",
    "self_attention": """batch, steps, width = x.shape
    packed = x @ call.weights["qkv_kernel"] + call.weights["qkv_bias"]
    parts = packed.reshape(batch, steps, 3, call.layer.heads, -1).permute(2, 0, 3, 1, 4)
    mixed = torch.nn.functional.scaled_dot_product_attention(*parts, is_causal=call.layer.causal)
    mixed = mixed.transpose(1, 2).reshape(x.shape)
    return mixed @ call.weights["output_kernel"] + call.weights["output_bias"]""",
}
TABLES = """LAYERS = {
    layers.BatchNorm: batch_norm,
    layers.Dense: dense,
    layers.Dropout: dropout,
    layers.Embedding: lambda call, x: call.weights["table"][x],
    layers.Flatten: flatten,
    layers.LayerNorm: layer_norm,
    layers.PositionEmbedding: position_embedding,
    layers.SelfAttention: self_attention,
    layers.Unembedding: unembedding,
}
ACTIVATIONS = {"relu": torch.relu, "gelu": torch.nn.functional.gelu}
"""
PROGRAM = {
    "xp = np": "xp = torch",
    "return np.array(values)": "return torch.tensor(values)",
    "return np.array(array)": "return array.numpy().copy()",
    "raise NotImplementedError": """leaves = {n: w.detach().requires_grad_() for n, w in parameters.items()}
        value, other = function(leaves)
        gradients = torch.autograd.grad(value, list(leaves.values()))
        return (value.detach(), other), dict(zip(leaves, gradients, strict=True))""",
}


def filled(folder):
    """Fill in the gaps of a written skeleton in PyTorch."""
    file = folder / "harness_own_plugin_layers.py"
    text = file.read_text()
    for name, body in FUNCTIONS.items():
        head, rest = text.split(f"def {name}(", 1)
        text = f"{head}def {name}({rest.replace('raise NotImplementedError', body, 1)}"
    assert "raise NotImplementedError" not in text
    file.write_text(f"{text}\nimport torch\nfrom harness import layers\n\n{TABLES}")
    file = folder / "harness_own_plugin_program.py"
    text = file.read_text()
    for gap, code in PROGRAM.items():
        assert text.count(gap) == 1
        text = text.replace(gap, code)
    file.write_text(text.replace("import numpy as np\n", "import numpy as np\nimport torch\n"))
    return folder


@pytest.mark.parametrize(
    "chosen",
    [
        ("--task", "mlp"),
        pytest.param(
            ("--task", "lm", "--case", "sgd", "--case", "default"), marks=pytest.mark.long, id="transformer"
        ),
    ],
)
def test_a_filled_skeleton_agrees_with_the_reference(harness, chosen):
    pytest.importorskip("torch")
    folder = filled(written(harness, "backend"))
    done = checked(harness, folder, *chosen)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_the_task_trains_on_the_data_set(harness):
    task = written(harness, "task", "own-task") / "harness_own_task.py"
    bars = written(harness, "dataset", "own-data") / "harness_own_data.py"
    task.write_text(task.read_text().replace('("digits",)', '("digits", "own-data")'))
    chosen = ("--task", "own-task", "--dataset", "own-data", "--max-steps", "3")
    plugins = ("--plugin", str(task), "--plugin", str(bars))
    harness.recorded("ok", "run", "--backend", "torch", *chosen, *plugins)


def test_the_data_set_is_verified(harness):
    file = written(harness, "dataset") / "harness_own_plugin.py"
    assert "own-plugin: ok, sha256 " in harness("data", "verify", "own-plugin", "--plugin", str(file)).stdout


def test_the_backend_of_the_guide_fits_into_the_skeleton(harness):
    """An author's path: the skeleton, the guide's NumPy example in it, a certificate."""
    file = written(harness, "backend", "my-numpy") / "harness_my_numpy.py"
    file.write_text(module("docs/how-to/add-a-backend.md", "my_numpy"))
    harness.ok("check", "my-numpy", "--task", "mlp", "--plugin", str(file))


def test_no_file_is_overwritten(harness):
    folder = written(harness, "backend")
    changed = folder / "README.md"
    changed.write_text("mine")
    (folder / "pyproject.toml").unlink()
    again = harness("new", "backend", "own-plugin")
    assert again.returncode == 2
    assert "has other files (README.md, …); give a new or an empty folder" in again.stderr
    assert (changed.read_text(), (folder / "pyproject.toml").exists()) == ("mine", False)
    harness.ok("new", "backend", "own-plugin", "--to", "some/where")
    assert (harness.folder / "some" / "where" / "harness_own_plugin.py").exists()


def installed(harness, folder):
    """The variables with which the package in a folder is on the path, with its entry points."""
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    (group, entries), *_ = project["entry-points"].items()
    info = folder / f"{project['name'].replace('-', '_')}-{project['version']}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: 0.1.0\n")
    lines = [f"{name} = {value}" for name, value in entries.items()]
    (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines, ""]))
    return {"PYTHONPATH": os.pathsep.join([str(folder), harness.environment.get("PYTHONPATH", "")])}


def test_the_command_of_a_feature_records_and_is_listed_shown_and_reported(harness):
    place = installed(harness, written(harness, "command", "matmul"))
    text = harness.ok("--help", **place).stdout
    headings = [
        "Commands",
        *(each.title for each in built_in() if each.commands),
        "Commands of harness-matmul",
    ]
    assert [line.rstrip(":") for line in text.splitlines() if line.rstrip(":") in headings] == headings
    assert "\nCommands of harness-matmul:\n  matmul" in text
    done = harness.ok("matmul", "--repetitions", "3", **place)
    assert "256 rows: " in done.stdout
    (path,) = (harness.folder / "results" / "matmul").glob("*.json")
    listed = harness.ok("list", "results", **place).stdout
    assert ("256 rows" in listed, path.stem[:15] in listed) == (True, True)
    assert "median (ms)" in harness.ok("show", "last", **place).stdout
    harness.ok("report", "last", "--to", "page.html", **place)
    page = (harness.folder / "page.html").read_text()
    assert ("vega" in page, "Times of products" in page) == (True, True)
    assert "not a record of any kind" in harness("show", str(path)).stderr  # without the feature
    path.write_bytes(path.read_bytes().replace(b"256", b"512"))
    damaged = harness("show", str(path), **place)
    assert (damaged.returncode, "changed" in damaged.stderr) == (2, True)


def test_a_feature_that_cannot_be_imported_is_left_out_and_named(harness):
    folder = written(harness, "command", "broken")
    (folder / "harness_broken.py").write_text("import nothing_of_this_name\n")
    done = harness.ok("--help", **installed(harness, folder))
    assert "harness_broken:FEATURE" in done.stderr
    assert "nothing_of_this_name" in done.stderr
    assert "Commands of" not in done.stdout


def test_a_broken_command_or_kind_of_a_feature_leaves_all_other_commands_alone(harness):
    folder = written(harness, "command", "half")
    place = installed(harness, folder)
    (folder / "harness_half_record.py").write_text("import nothing_of_this_name\n")
    done = harness.ok("list", "results", **place)
    assert (done.stderr.count("\n"), "harness_half_record:KIND" in done.stderr) == (1, True)
    broken = harness("half", **place)
    assert (broken.returncode, broken.stderr.count("\n")) == (2, 1)
    assert "harness_half_command:command: ModuleNotFoundError" in broken.stderr


HOOKS = """
from harness.core.machine.leftovers import Found, LeftoverSource
from harness.core.runs.extensions import AfterTraining


def fails(*_arguments):
    raise ZeroDivisionError("in a hook")


class Work(AfterTraining):
    name, title, phase, operation = "half", "Half", "halving", "harness_half_hooks:fails"

    def applies(self, task):
        return fails()


WORK, SOURCE = Work(), LeftoverSource({}, fails)

"""
FIELDS = """    leftovers=("harness_half_hooks:SOURCE",),
    run_summary=("harness_half_hooks:fails",),
    after_training=("harness_half_hooks:WORK", "harness_half_hooks:NOTHING"),
    skeletons={"thing": "harness_half_hooks:NOTHING"},
)"""


def test_hooks_that_are_missing_or_raise_are_left_out_and_named(harness):
    folder = written(harness, "command", "half")
    place = installed(harness, folder)
    (folder / "harness_half_hooks.py").write_text(HOOKS)
    module = folder / "harness_half.py"
    module.write_text(module.read_text().rstrip().removesuffix(")") + FIELDS + "\n")

    assert "harness_half_hooks:SOURCE" in harness.ok("clean", "--dry-run", **place).stderr
    assert "harness_half_hooks:NOTHING" in harness.ok("new", "command", "other", **place).stderr
    run = ("run", "--backend", "torch", "--task", "mlp", "--max-steps", "2", "--no-certify")
    done = harness.ok(*run, **place)
    for named in (
        "harness_half_hooks:NOTHING",
        "harness_half_hooks:fails",
    ):
        assert named in done.stderr
    (record,) = harness.records()
    assert record["status"] == "ok"
    assert "ZeroDivisionError" in record["extensions"]["half"]["failure"]


def test_a_kind_of_record_that_takes_the_folder_of_another_is_left_out(harness):
    folder = written(harness, "command", "half")
    place = installed(harness, folder)
    file = folder / "harness_half_record.py"
    file.write_text(file.read_text().replace('folder="half"', 'folder="runs"'))
    done = harness.ok("list", "results", **place)
    assert "feature half: its kind of record half has the name, the folder or the mark of run" in done.stderr


@pytest.mark.parametrize(
    ("given", "warning"),
    [
        ('commands=("harness_half_command:command",),', "'harness_half_command:command' is not a Command"),
        ('commands=(Command("run", "x", "harness_half_command:command"),),', "harness run exists already"),
        ('records=("harness_half_record:Product",),', "harness_half_record:Product is not a RecordKind"),
    ],
    ids=["a command as a string", "the name of another command", "no kind of record"],
)
def test_fields_of_another_type_or_name_are_left_out(harness, given, warning):
    folder = written(harness, "command", "half")
    place = installed(harness, folder)
    file = folder / "harness_half.py"
    head = file.read_text().partition("FEATURE =")[0]
    file.write_text(f'{head}FEATURE = Feature("half", "Half", {given})\n')
    done = harness.ok("list", "results", **place)
    assert (done.stderr.count("\n"), warning in done.stderr) == (1, True)


def test_a_row_that_raises_is_named_in_the_list(harness):
    folder = written(harness, "command", "half")
    place = installed(harness, folder)
    harness.ok("half", "--repetitions", "1", **place)
    file = folder / "harness_half_page.py"
    file.write_text(f"{file.read_text()}\n\ndef row(record):\n    raise ZeroDivisionError\n")
    assert "harness_half_page:row" in harness.ok("list", "results", **place).stdout.replace("\n", "")
