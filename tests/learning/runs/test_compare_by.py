"""``--by`` in compare, report and Python, and a matrix of settings in run."""

import pytest
from support.made_records import made_setting
from support.records import save_runs

import harness as package
from harness.errors import UsageError


@pytest.fixture
def results(tmp_path):
    folder = tmp_path / "results"
    settings = [("adam", 0.1, 0.7), ("sgd", 0.1, 0.6), ("adam", 0.01, 0.5)]
    save_runs(
        folder,
        *(
            made_setting(seed, optimizer=name, learning_rate=rate, accuracy=accuracy + seed / 100)
            for name, rate, accuracy in settings
            for seed in range(3)
        ),
    )
    return folder


def test_compare_by_an_option(quick, results):
    done = quick("compare", "--by", "optimizer", "--results", str(results))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Adam, SGD on cnn")
    assert "worse for sgd (−10.0" in done.stdout


def test_python_takes_the_same(results):
    report = package.compare("optimizer=adam", results=results, by="learning_rate")
    assert list(report.configurations["learning_rate"]) == [0.01, 0.1]  # equal: in the order of values
    with pytest.raises(UsageError, match="Did you mean 'optimizer'"):
        package.compare(results=results, by="optimiser")
    advice = package.compare(results=results).headlines[0]
    assert ("--by optimizer" in advice, "--by learning_rate" in advice) == (True, True)


@pytest.mark.parametrize("suffix", ["html", "md"])
def test_reports_take_the_same(quick, results, suffix):
    path = results / f"report.{suffix}"
    done = quick("report", "--by", "optimizer", "--results", str(results), "--to", str(path))
    assert done.returncode == 0, done.stderr
    assert "Adam, SGD on cnn" in path.read_text()


def test_a_matrix_says_how_many_runs_it_has_and_ends_with_their_comparison(harness):
    data = ("--dataset", "digits", "--no-certify", "--epochs", "1")
    done = harness.ok("run", "--task", "cnn", "--backend", "faulty:ok", *data, "--set", "optimizer=sgd,adam")
    assert done.stderr.startswith("2 runs: optimizer sgd, adam\n")
    assert "[2/2] cnn faulty:ok seed 0" in done.stderr
    assert [each["task"]["options"]["optimizer"] for each in harness.records()] == ["sgd", "adam"]
    assert done.stdout.startswith("Adam, SGD on cnn")
