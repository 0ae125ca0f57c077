"""Suite files of a gate: what they may contain, and the errors for those that are wrong."""

import numpy as np
import pytest

from harness.core.plugins import kept_data
from harness.errors import UsageError
from harness.timing.environments.suite import Limits
from harness.timing.environments.suite_file import benchmark_of, find_suite, read_suite

CNN = '[benchmarks.cnn]\nbackend = "torch"\ntask = "cnn"\n'


@pytest.fixture
def suite(tmp_path):
    def write(text, name="gate.toml"):
        path = tmp_path / name
        path.write_text(text)
        return read_suite(path)

    return write


def test_a_mark_of_byte_order_is_skipped(suite):
    (cnn,) = suite("\ufeff" + CNN).benchmarks
    assert cnn.name == "cnn"


def test_limits_of_the_suite_apply_to_benchmarks_that_do_not_set_them(suite):
    read = suite(
        'max_slowdown = "3%"\nmax_accuracy_loss = "0.5 points"\nfalse_alarms = "2%"\n'
        + CNN
        + '[benchmarks.rnn]\nbackend = "torch:compile"\ntask = "rnn"\nmax_slowdown = "10 %"\n'
        'max_memory_growth = "off"\nbatch_size = 32\nset = { width = 0.5, optimizer = "adam" }\n'
    )
    cnn, rnn = read.benchmarks
    assert read.false_alarms == 0.02
    assert cnn.limits == Limits(max_slowdown=0.03, max_accuracy_loss=0.005)
    assert (rnn.limits.max_slowdown, rnn.limits.of("max_memory_growth")) == (0.1, None)
    assert (rnn.name, rnn.backend, rnn.batch_size) == ("rnn", "torch:compile", 32)
    assert rnn.options == {"width": 0.5, "optimizer": "adam"}


def test_settings_may_follow_the_name_of_a_backend_or_of_a_step(suite):
    read = suite(
        CNN.replace('"torch"', '"torch:compile threads=2 precision=bfloat16"')
        + '[benchmarks.own]\nstep = "bench.py:make_step threads=1"\n'
    )
    cnn, own = read.benchmarks
    assert (cnn.backend, cnn.threads, cnn.precision) == ("torch:compile", 2, "bfloat16")
    assert (own.step, own.threads) == ("bench.py:make_step", 1)


def test_a_table_of_pyproject_is_a_suite(suite):
    read = suite('[tool.harness.gate.benchmarks.cnn]\nbackend = "torch"\ntask = "cnn"\n', "pyproject.toml")
    assert [benchmark.name for benchmark in read.benchmarks] == ["cnn"]


LINES = (
    "bachend = 'torch'",
    "max_slowdown = 5",
    "max_slowdown = '5'",
    "max_slowdown = '0%'",
    "max_accuracy_loss = '1%'",
    "batch_size = 'big'",
    "batch_size = 0",
    "threads = -1",
    "seed = -1",
    "seeds = 2",
    "device = 'cuda:x'",
    "precision = 'int8'",
    "set = { width = [1] }",
)
TEXTS = {
    "unknown limit": "max_slow_down = '5%'\n" + CNN,
    "a setting given twice": "[benchmarks.cnn]\nbackend = 'torch threads=2'\nthreads = 1\ntask = 'cnn'\n",
    "a setting of base or head": "[benchmarks.cnn]\nbackend = 'torch env.X=1'\ntask = 'cnn'\n",
    "no task": "[benchmarks.cnn]\nbackend = 'torch'\n",
    "false alarms": "false_alarms = '200%'\n" + CNN,
    "no benchmark": "[benchmarks]\n",
    "empty": "",
    "benchmarks are a number": "benchmarks = 3",
    "a benchmark is a number": "[benchmarks]\ncnn = 3",
    "cut off": "max_slowdown = ",
    "deep": "benchmarks = " + 5000 * "[",
}


@pytest.mark.parametrize("given", [*LINES, *TEXTS])
def test_errors_name_the_key_and_what_would_be_right(suite, snapshot, tmp_path, given):
    with pytest.raises(UsageError) as caught:
        suite(TEXTS.get(given, f"{CNN}{given}\n"))
    message = str(caught.value).replace(str(tmp_path), "FOLDER")
    assert message.partition("maximum recursion")[0] == snapshot  # Python's own words


def test_a_suite_of_many_megabytes_is_not_read(tmp_path):
    path = tmp_path / "gate.toml"
    path.write_text("# filler\n" * (200 * 2**20 // 9))
    with pytest.raises(UsageError, match=r"gate\.toml: .*more than 1,048,576 bytes"):
        read_suite(path)


@pytest.mark.parametrize("text", ["[project]\nname = 'x'\n", "[tool]\nharness = 'x'\n"])
def test_pyproject_without_a_table(suite, text):
    with pytest.raises(UsageError, match=r"has no table \[tool.harness.gate\]"):
        suite(text, "pyproject.toml")


def test_a_suite_is_found_in_the_folder_and_gate_toml_first(tmp_path):
    with pytest.raises(UsageError, match="no suite here: give --suite FILE"):
        find_suite(tmp_path)
    (tmp_path / "pyproject.toml").touch()
    assert find_suite(tmp_path).name == "pyproject.toml"
    (tmp_path / "gate.toml").touch()
    assert find_suite(tmp_path).name == "gate.toml"


def test_a_benchmark_of_a_suite_names_a_file_and_its_settings(tmp_path, monkeypatch):
    monkeypatch.setenv("HARNESS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv(kept_data.KEPT_VARIABLE, "{}")
    np.savez(tmp_path / "data.npz", x=np.ones((60, 3), np.float32), y=np.resize([0, 1], 60))
    path = str(tmp_path / "data.npz")
    table = {"backend": "torch", "task": "mlp", "dataset": path, "set_data": {"test": 0.5, "shuffle": False}}
    benchmark = benchmark_of("own", table, {}, "gate.toml: benchmark own")
    assert benchmark.dataset == "data.npz"
    assert kept_data.file_of("data.npz") == kept_data.DataFile(path, {"test": 0.5, "shuffle": False})
    for wrong, why in (
        ({"dataset": "mnist1d"}, "are for a file of your own"),
        ({"set_data": {"tests": 0.5}}, "unknown setting 'tests'"),
    ):
        with pytest.raises(UsageError, match=f"^gate.toml: benchmark own: .*{why}"):
            benchmark_of("own", table | wrong, {}, "gate.toml: benchmark own")
