"""Suite files of a gate: what they may contain, and the errors for those that are wrong."""

import pytest

from harness.errors import UsageError
from harness.gate.suite import Limits, find_suite, read_suite

CNN = '[benchmarks.cnn]\nbackend = "torch"\ntask = "cnn"\n'


@pytest.fixture
def suite(tmp_path):
    def write(text, name="gate.toml"):
        path = tmp_path / name
        path.write_text(text)
        return read_suite(path)

    return write


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
    assert (rnn.limits.max_slowdown, rnn.limits.max_memory_growth) == (0.1, None)
    assert (rnn.name, rnn.backend, rnn.batch_size) == ("rnn", "torch:compile", 32)
    assert rnn.options == {"width": 0.5, "optimizer": "adam"}


def test_a_table_of_pyproject_is_a_suite(suite):
    read = suite('[tool.harness.gate.benchmarks.cnn]\nbackend = "torch"\ntask = "cnn"\n', "pyproject.toml")
    assert [benchmark.name for benchmark in read.benchmarks] == ["cnn"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("max_slow_down = '5%'\n" + CNN, "Did you mean 'max_slowdown'?"),
        (CNN + "bachend = 'torch'\n", "benchmark cnn: unknown key 'bachend'. Did you mean 'backend'?"),
        (CNN + "max_slowdown = 5\n", "5 is not a number above 0 with its unit; write max_slowdown = "),
        (CNN + "max_slowdown = '5'\n", "with its unit"),
        (CNN + "max_slowdown = '0%'\n", "not a number above 0"),
        (CNN + "max_accuracy_loss = '1%'\n", 'write max_accuracy_loss = "1 point"'),
        (CNN + "batch_size = 'big'\n", "benchmark cnn: Expected `int | null`, got `str`"),
        (CNN + "batch_size = 0\n", "benchmark cnn: Expected `int` >= 1 - at `$.batch_size`"),
        (CNN + "threads = -1\n", "Expected `int` >= 1 - at `$.threads`"),
        (CNN + "seed = -1\n", "Expected `int` >= 0 - at `$.seed`"),
        (CNN + "seeds = 2\n", "Expected `int` >= 3 - at `$.seeds`"),
        (CNN + "device = 'cuda:x'\n", "device = 'cuda:x' is none of auto, cpu, cuda, cuda:N"),
        (CNN + "set = { width = [1] }\n", "$.set"),
        ("[benchmarks.cnn]\nbackend = 'torch'\n", "benchmark cnn lacks task"),
        ("false_alarms = '200%'\n" + CNN, "false_alarms = '200%': write less than 100%"),
        (CNN + "precision = 'int8'\n", "precision = 'int8' is none of float32, "),
        ("[benchmarks]\n", "has no benchmark; write for example"),
        ("", "has no benchmark"),
        ("benchmarks = 3", "has no benchmark"),
        ("[benchmarks]\ncnn = 3", "benchmark cnn must be a table"),
        ("max_slowdown = ", "cannot read the suite"),
        ("benchmarks = " + 5000 * "[", "cannot read the suite"),
    ],
)  # fmt: skip
def test_errors_name_the_key_and_what_would_be_right(suite, text, words):
    with pytest.raises(UsageError) as caught:
        suite(text)
    assert words in str(caught.value)


def test_a_suite_of_many_megabytes_is_not_read(tmp_path):
    path = tmp_path / "gate.toml"
    path.write_text("# filler\n" * (200 * 2**20 // 9))
    with pytest.raises(UsageError, match=r"gate\.toml: .*more than 1,048,576 bytes"):
        read_suite(path)


def test_pyproject_without_a_table(suite):
    with pytest.raises(UsageError, match=r"has no table \[tool.harness.gate\]"):
        suite("[project]\nname = 'x'\n", "pyproject.toml")
    with pytest.raises(UsageError, match=r"has no table \[tool.harness.gate\]"):
        suite("[tool]\nharness = 'x'\n", "pyproject.toml")


def test_a_suite_is_found_in_the_folder_and_gate_toml_first(tmp_path):
    with pytest.raises(UsageError, match="no suite here: give --suite FILE"):
        find_suite(tmp_path)
    (tmp_path / "pyproject.toml").touch()
    assert find_suite(tmp_path).name == "pyproject.toml"
    (tmp_path / "gate.toml").touch()
    assert find_suite(tmp_path).name == "gate.toml"
