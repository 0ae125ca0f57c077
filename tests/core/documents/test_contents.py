"""What a record contains of the user's own code, and of versions."""

import sys
from importlib import metadata

import pytest

from harness.core.documents import contents
from harness.core.documents.contents import Needs, contents_of, read_source, source_path
from harness.core.plugins.distributions import distributions_of, required_by
from harness.core.plugins.files import PLUGIN_FILES_VARIABLE, add_written_file
from harness.core.plugins.sources import own_files
from harness.errors import UsageError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder: net.py imports part.py; other.py is nobody's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(PLUGIN_FILES_VARIABLE, "")
    (tmp_path / "net.py").write_text("import json\nimport msgspec\nimport part\n")
    (tmp_path / "part.py").write_text("VALUE = 1\n")
    (tmp_path / "other.py").write_text("VALUE = 2\n")
    return tmp_path


def test_a_file_is_kept_with_what_it_imports_from_its_folder(folder):
    kept = contents_of(Needs(["net.py:make"]), folder / "results")
    assert kept.folder == str(folder)
    assert [source.path for source in kept.sources] == ["net.py", "part.py"]
    for source in kept.sources:
        content = (folder / source.path).read_bytes()
        assert read_source(folder / "results", source) == content
        assert source.bytes == len(content)


def test_equal_content_is_stored_once_and_named_by_each_record(folder):
    first = contents_of(Needs(["net.py:make"]), folder / "results")
    (folder / "part.py").write_text("VALUE = 3\n")
    second = contents_of(Needs(["net.py:make"]), folder / "results")
    assert first.sources[0] == second.sources[0]
    assert first.sources[1] != second.sources[1]
    assert len([*(folder / "results" / "sources").iterdir()]) == 3
    assert read_source(folder / "results", first.sources[1]) == b"VALUE = 1\n"


def test_a_file_outside_the_folder_has_its_whole_path(folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("elsewhere") / "loss.py"
    path.write_text("def focal(): ...\n")
    (source,) = contents_of(Needs([f"{path}:focal"]), folder / "results").sources
    assert source.path == str(path)


def test_a_large_file_is_named_and_not_kept(folder, monkeypatch):
    monkeypatch.setattr(contents, "MOST_BYTES", 20)
    net, part = contents_of(Needs(["net.py:make"]), folder / "results").sources
    assert (net.kept, part.kept) == (False, True)
    assert not source_path(folder / "results", net.sha256).exists()
    with pytest.raises(UsageError, match="is not kept"):
        read_source(folder / "results", net)


def test_an_edited_source_is_refused(folder):
    source, _ = contents_of(Needs(["net.py:make"]), folder / "results").sources
    source_path(folder / "results", source.sha256).write_text("import os\n")
    with pytest.raises(UsageError, match="was changed after it was written"):
        read_source(folder / "results", source)


def test_plugin_files_belong_to_every_record_but_those_that_a_command_wrote(folder, monkeypatch):
    monkeypatch.setenv(PLUGIN_FILES_VARIABLE, str(folder / "other.py"))
    written = folder / "written.py"
    written.write_text("TASK = 1\n")
    add_written_file(written)
    assert [source.path for source in contents_of(Needs(), folder / "results").sources] == ["other.py"]


def test_a_module_of_the_folder_is_found_and_installed_ones_are_nobodys(folder):
    package = folder / "src" / "mine"
    package.mkdir(parents=True)
    (package / "nets.py").write_text("")
    assert own_files(["mine.nets:make"]) == [package / "nets.py"]
    assert own_files(["msgspec:Struct", "harness.core.runs.store:Store", "nowhere.at:all"]) == []


def test_distributions_are_those_required_and_what_they_require():
    versions = required_by(["dl-harness"])
    assert versions["msgspec"] == metadata.version("msgspec")
    assert versions["click"] == metadata.version("click")
    assert "pytest" not in versions
    assert required_by([], ["pytest"])["pluggy"] == metadata.version("pluggy")


def test_modules_have_other_names_than_their_distributions():
    assert distributions_of(["sklearn.svm", "PIL", "json", "nowhere"]) == ["pillow", "scikit-learn"]
    assert distributions_of(sys.stdlib_module_names) == []


def test_a_record_contains_the_versions_of_its_imports(folder):
    kept = contents_of(Needs(["net.py:make"], ["nowhere"]), folder / "results")
    assert kept.distributions["dl-harness"] == metadata.version("dl-harness")
    assert "msgspec" in kept.distributions
