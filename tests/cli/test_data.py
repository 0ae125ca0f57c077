"""``harness data``: what it prints and how it ends."""

import pytest
from click.testing import CliRunner
from support import data_files

from harness.cli import run as run_module
from harness.cli.data import command
from harness.cli.list import _datasets
from harness.errors import DataError, PluginError, UsageError, unknown_name
from harness.plugins import registry
from harness.runs import matrix
from harness.spec.data import DatasetSummary, DataSource
from harness_tasks.datasets import SOURCES


class Falling(DataSource):
    """A source whose own code raises."""

    name = "falling"
    summary = "raises"

    def is_ready(self):
        raise KeyError("MY_DATA")

    def load(self):
        raise KeyError("MY_DATA")


class Forgetful(DataSource):
    """A source that returns nothing."""

    name = "forgetful"
    summary = "forgets to return"

    def is_ready(self):
        return True

    def load(self):
        """Return nothing."""

    def summarize(self):
        return DatasetSummary("nowhere", {"train": 1})


@pytest.fixture(autouse=True)
def _only_our_sources_in_a_new_place(tmp_path, monkeypatch):
    def dataset(name):
        if name in ("falling", "forgetful"):
            return Falling() if name == "falling" else Forgetful()
        if name == "other":
            raise PluginError("dataset plugin 'other' (other 1.0) could not be loaded")
        if name not in SOURCES:
            raise unknown_name("data set", name, SOURCES)
        return SOURCES[name]

    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("HARNESS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(registry, "dataset", dataset)
    monkeypatch.setattr(registry, "names", lambda _: [*SOURCES])


@pytest.fixture
def archive(tmp_path):
    return data_files.write_tar(tmp_path / "archive", data_files.picture_files())


def run(*arguments):
    return CliRunner().invoke(command, list(map(str, arguments)))


def test_list_before_and_after_an_import(archive):
    before = run("list").stdout
    assert "not downloaded (run: harness data fetch cifar10)" in before
    assert "1,437 + 360" in before
    imported = run("import", "cifar10", archive)
    assert "20 training samples, 10 test samples, 10 classes" in imported.stdout
    assert "reading images: 100 %" in imported.stderr
    after = run("list").stdout
    digest = imported.stdout.split("sha256: ")[1][:12]
    assert digest in after
    assert "PNG images from an image folder" in after


def test_list_survives_a_broken_plugin(monkeypatch):
    monkeypatch.setattr(registry, "names", lambda _: ["digits", "other"])
    result = run("list")
    assert result.exit_code == 0
    assert "broken: dataset plugin 'other'" in result.stdout


def test_an_error_of_a_source_is_reported_and_affects_no_other(monkeypatch):
    monkeypatch.setattr(registry, "names", lambda _: ["falling", "digits"])
    message = "data set falling raised KeyError: 'MY_DATA' (test_data.py"
    listed = run("list")
    assert (listed.exit_code, message in " ".join(listed.stdout.split())) == (0, True)
    assert "1,437 + 360" in listed.stdout
    for arguments in (["verify"], ["verify", "falling", "digits"]):
        checked = run(*arguments)
        assert isinstance(checked.exception, DataError)
        assert message in str(checked.exception)
        assert "digits: ok" in checked.stdout
    assert message in _datasets()


def test_a_source_that_returns_something_else_is_reported_in_a_line(monkeypatch):
    monkeypatch.setattr(registry, "names", lambda _: ["forgetful", "digits"])
    listed = run("list")
    assert listed.exit_code == 0, listed.output
    assert "forgetful  damaged (run: harness data verify forgetful)" in listed.output
    verified = run("verify")
    assert "summarize() must return None, or a DatasetSummary that counts the training" in str(
        verified.exception
    )
    assert "digits: ok" in verified.output
    monkeypatch.setattr(Forgetful, "summarize", lambda _: None)
    for words in (("verify",), ("fetch", "forgetful")):
        assert "load() returned NoneType instead of Dataset" in str(run(*words).exception)


def test_verify(archive, tmp_path):
    assert "cifar10: not downloaded (run: harness data fetch cifar10)" in run("verify").stdout
    assert isinstance(run("verify", "cifar10").exception, DataError)
    run("import", "cifar10", archive)
    assert "cifar10: ok, sha256 " in run("verify", "cifar10").stdout

    (path,) = (tmp_path / "data").rglob("test_inputs.npy")
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    damaged = run("verify")
    assert isinstance(damaged.exception, DataError)
    assert "is damaged" in str(damaged.exception)
    assert "digits: ok" in damaged.stdout, "the others are checked all the same"

    (tmp_path / "data" / "cifar10" / "dataset.json").write_text("{")
    assert "damaged (run: harness data verify cifar10)" in run("list").stdout


def test_verify_goes_on_after_a_broken_plugin(monkeypatch):
    monkeypatch.setattr(registry, "names", lambda _: ["other", "digits"])
    result = run("verify")
    assert "dataset plugin 'other' (other 1.0) could not be loaded" in str(result.exception)
    assert "digits: ok" in result.stdout


def test_list_reads_no_arrays(archive, tmp_path, monkeypatch):
    run("import", "cifar10", archive)
    for path in (tmp_path / "data").rglob("*.npy"):
        path.unlink()
    for source in SOURCES.values():
        monkeypatch.setattr(type(source), "load", lambda _: pytest.fail("read"))
    listed = run("list").stdout
    assert "20 + 10" in listed
    assert "155 + 44" in listed


@pytest.mark.parametrize("name", ["breast_cancer", "digits", "mnist1d", "pydoc", "sunspots"])
def test_a_summary_says_what_is_loaded(name):
    summary, dataset = SOURCES[name].summarize(), SOURCES[name].load()
    assert summary.origin == dataset.origin
    loaded = {"train": dataset.train, "test": dataset.test, "validation": dataset.validation}
    assert summary.samples == {split: len(rows) for split, rows in loaded.items() if rows is not None}


def test_fetch_of_what_is_always_here():
    result = run("fetch", "digits")
    assert result.exit_code == 0
    assert "1,437 training samples, 360 test samples" in result.stdout


@pytest.mark.parametrize("name", ["cifar10", "digits"])
def test_a_path_that_does_not_exist(name, tmp_path):
    result = run("import", name, tmp_path / "nowhere")
    assert result.exit_code == 2
    assert "does not exist" in result.stderr


def test_bad_input_is_a_usage_error(tmp_path, archive):
    (tmp_path / "text").write_text("no archive")
    for arguments, message in [
        (("import", "cifar10", tmp_path / "text"), "truncated or broken"),
        (("import", "digits", archive), "cannot be imported from files"),
        (("import", "cifar1", archive), "Did you mean 'cifar10'"),
        (("fetch", "cifar1"), "Did you mean 'cifar10'"),
        (("verify", "cifar1"), "Did you mean 'cifar10'"),
    ]:
        error = run(*arguments).exception
        assert isinstance(error, UsageError)
        assert message in str(error)


def test_nothing_is_fetched_for_one_task_where_the_next_does_not_run_on_it(tmp_path, monkeypatch):
    fetched = []
    monkeypatch.setattr(matrix, "choose_dataset", lambda definition, *_: fetched.append(definition.name))
    asked = ["--backend", "torch", "--task", "cnn,mlp", "--dataset", "cifar10", "--results", str(tmp_path)]
    outcome = CliRunner().invoke(run_module.command, asked)
    assert isinstance(outcome.exception, UsageError)
    assert "task mlp does not run on cifar10; it runs on: mnist1d." in str(outcome.exception)
    assert fetched == []
