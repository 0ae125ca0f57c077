"""``harness data``: what it prints and how it ends."""

import pytest
from click.testing import CliRunner
from support import data_files

from harness.core.plugins import registry
from harness.core.shell.commands.data import command
from harness.core.shell.commands.list import _datasets
from harness.errors import DataError, PluginError, UsageError, unknown_name
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


def states(*names):
    """What ``data list`` says of each data set."""
    rows = run("list").stdout.splitlines()
    return {row.split()[0]: row for row in rows if row.split()[:1] and row.split()[0] in (names or SOURCES)}


def test_list_before_and_after_an_import(archive):
    before = states()
    assert "not downloaded" in before["cifar10"]
    assert "1,437 + 360" in before["digits"]
    imported = run("import", "cifar10", archive)
    assert "reading images: 100 %" in imported.stderr
    after = states()["cifar10"]
    for words in ("20 + 10", "PNG images", imported.stdout.split("sha256: ")[1][:12]):
        assert words in after


@pytest.mark.parametrize(
    ("name", "listed", "reason"),
    [
        ("other", "broken: dataset plugin 'other'", "dataset plugin 'other' (other 1.0)"),
        ("falling", "raised KeyError: 'MY_DATA'", "raised KeyError: 'MY_DATA' (test_data.py"),
        ("forgetful", "damaged", "summarize() must return None"),
    ],
)
def test_a_source_that_fails_is_reported_and_affects_no_other(monkeypatch, name, listed, reason):
    monkeypatch.setattr(registry, "names", lambda _: [name, "digits"])
    rows = run("list")
    assert rows.exit_code == 0
    assert listed in " ".join(rows.stdout.split())
    assert "1,437 + 360" in rows.stdout
    for arguments in (["verify"], ["verify", name, "digits"]):
        checked = run(*arguments)
        assert isinstance(checked.exception, DataError)
        assert reason in str(checked.exception)
        assert "digits: ok" in checked.stdout, "the others are checked all the same"


def test_the_listing_of_a_help_text_has_the_error_of_a_source(monkeypatch):
    monkeypatch.setattr(registry, "names", lambda _: ["falling", "digits"])
    assert "raised KeyError: 'MY_DATA'" in _datasets()


def test_a_source_that_loads_something_else_is_reported(monkeypatch):
    monkeypatch.setattr(registry, "names", lambda _: ["forgetful", "digits"])
    monkeypatch.setattr(Forgetful, "summarize", lambda _: None)
    for words in (("verify",), ("fetch", "forgetful")):
        assert "NoneType instead of Dataset" in str(run(*words).exception)


def test_verify(archive, tmp_path):
    assert "cifar10: not downloaded" in run("verify").stdout
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
    assert "damaged" in states()["cifar10"]


def test_list_reads_no_arrays(archive, tmp_path, monkeypatch):
    run("import", "cifar10", archive)
    for path in (tmp_path / "data").rglob("*.npy"):
        path.unlink()
    for source in SOURCES.values():
        monkeypatch.setattr(type(source), "load", lambda _: pytest.fail("read"))
    listed = states()
    assert ("20 + 10" in listed["cifar10"], "155 + 44" in listed["sunspots"]) == (True, True)


@pytest.mark.parametrize("name", ["breast_cancer", "digits", "mnist1d", "pydoc", "sunspots"])
def test_a_summary_says_what_is_loaded(name):
    summary, dataset = SOURCES[name].summarize(), SOURCES[name].load()
    assert summary.origin == dataset.origin
    loaded = {"train": dataset.train, "test": dataset.test, "validation": dataset.validation}
    assert summary.samples == {split: len(rows) for split, rows in loaded.items() if rows is not None}


def test_fetch_of_what_is_always_here(snapshot):
    result = run("fetch", "digits")
    assert (result.exit_code, result.stdout) == (0, snapshot)


@pytest.mark.parametrize("line", ["import digits nowhere", "import cifar10 nowhere"])
def test_a_path_that_does_not_exist(line):
    result = run(*line.split())
    assert (result.exit_code, "does not exist" in result.stderr) == (2, True)


@pytest.mark.parametrize(
    "line",
    [
        "import cifar10 TEXT",
        "import digits ARCHIVE",
        "import cifar1 ARCHIVE",
        "fetch cifar1",
        "verify cifar1",
    ],
)
def test_bad_input_is_a_usage_error(tmp_path, archive, snapshot, line):
    (tmp_path / "text").write_text("no archive")
    places = {"TEXT": tmp_path / "text", "ARCHIVE": archive}
    error = run(*(places.get(word, word) for word in line.split())).exception
    assert isinstance(error, UsageError)
    assert str(error).replace(str(tmp_path), "FOLDER") == snapshot
