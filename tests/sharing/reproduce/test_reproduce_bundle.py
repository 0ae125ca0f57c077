"""``harness reproduce`` of a bundle: it is opened elsewhere, shown, and repeated only with consent."""

import hashlib
import json
import zipfile

import msgspec
import numpy as np
import pytest
from support.made_bundles import own_record, save_own
from support.pages import module

from harness.core.documents.contents import SourceFile
from harness.errors import UsageError
from harness.sharing.reproduce.bundles import _plugins as plugins_of
from harness.sharing.reproduce.bundles import lay_out


@pytest.fixture
def claim(quick, monkeypatch):
    """A bundle of a run of an own model, in the current folder, which is restored afterwards."""
    monkeypatch.chdir(quick.folder)
    record = own_record(quick.folder)
    record.dataset = msgspec.structs.replace(record.dataset, fingerprint="f" * 64)
    save_own(quick.folder, record)
    done = quick("bundle", "last", "--to", "claim.zip")
    assert done.returncode == 0, done.stderr
    return quick.folder / "claim.zip"


def test_without_consent_a_bundle_is_shown_and_nothing_is_written(quick, claim):
    done = quick("reproduce", claim.name, "--to", "new")
    assert done.returncode == 2
    assert "net.py" in done.stderr
    assert "nobody can be asked" in done.stderr
    assert not (quick.folder / "new").exists()


def test_a_bundle_is_laid_out_before_what_is_lacking_is_named(quick, claim):
    done = quick("reproduce", claim.name, "--to", "new", "--yes")
    assert done.returncode == 2
    assert "nothing was repeated, because this machine lacks:" in done.stderr
    assert "data file" in done.stderr
    assert (quick.folder / "new" / "work" / "net.py").read_text() == (quick.folder / "net.py").read_text()
    assert not (quick.folder / "new" / "reproduced").exists()


def test_a_bundle_is_given_alone_and_into_a_new_folder(quick, claim):
    assert "give it alone" in quick("reproduce", claim.name, "results").stderr
    (quick.folder / "old").mkdir()
    done = quick("reproduce", claim.name, "--yes", "--to", "old")
    assert done.returncode == 2
    assert "a bundle is opened into a new folder" in done.stderr


def test_a_bundle_that_writes_elsewhere_is_refused(quick, claim):
    with zipfile.ZipFile(claim, "a") as archive:
        archive.writestr("../evil.py", "")
    done = quick("reproduce", claim.name, "--yes", "--to", "new")
    assert (done.returncode, (quick.folder / "new").exists()) == (2, False)
    assert "no bundle has a file" in done.stderr
    assert not (quick.folder.parent / "evil.py").exists()


def test_records_with_different_files_of_one_name_have_no_common_folder(tmp_path):
    records = []
    (tmp_path / "sources").mkdir()
    for content in (b"a = 1\n", b"a = 2\n"):
        digest = hashlib.sha256(content).hexdigest()
        (tmp_path / "sources" / f"{digest}.py").write_bytes(content)
        sources = [SourceFile("net.py", digest, len(content))]
        records.append(msgspec.structs.replace(own_record(tmp_path), sources=sources))
    with pytest.raises(UsageError, match="different files net"):
        lay_out(records, tmp_path, tmp_path / "place")


@pytest.mark.slow
def test_a_run_of_an_own_model_is_identical_in_another_folder(harness):
    pytest.importorskip("torch")
    folder = harness.folder
    (folder / "parts.py").write_text("import torch\n\n\ndef head(n):\n    return torch.nn.Linear(n, 3)\n")
    (folder / "net.py").write_text(
        "import torch\nfrom parts import head\n\n\ndef make(width=8):\n"
        "    return torch.nn.Sequential(torch.nn.Linear(6, width), torch.nn.ReLU(), head(width))\n"
    )
    x = np.random.default_rng(0).normal(size=(300, 6)).astype(np.float32)
    np.savez(folder / "data.npz", x=x, y=(x[:, 0] > 0).astype(int) + (x[:, 1] > 0))
    harness.ok(
        "run", "--model", "net.py:make", "--dataset", "data.npz", "--max-steps", "20", "--threads", "1"
    )
    harness.ok("bundle", "last", "--data", "--to", "claim.zip")
    for name in ("net.py", "parts.py", "data.npz"):
        (folder / name).unlink()
    done = harness.ok("reproduce", "claim.zip", "--yes", "--to", "new", "--format", "json")
    (found,) = json.loads(done.stdout)["records"]
    assert found["agreement"]["verdict"] == "identical"
    assert found["differences"] == []
    assert found["repeated"].startswith(str(folder / "new" / "reproduced" / "runs"))


@pytest.mark.slow
def test_a_run_by_a_plugin_file_is_identical_in_another_folder(harness):
    plugin = harness.folder / "my_numpy.py"
    plugin.write_text(module("docs/how-to/add-a-backend.md", "my_numpy"))
    short = ("--task", "mlp", "--max-steps", "3", "--no-certify")
    harness.ok("run", "--backend", "my-numpy", "--plugin", plugin.name, *short)
    harness.ok("bundle", "last", "--to", "claim.zip")
    plugin.unlink()
    done = harness.ok("reproduce", "claim.zip", "--yes", "--to", "new", "--format", "json")
    (found,) = json.loads(done.stdout)["records"]
    assert found["agreement"]["verdict"] == "identical"


@pytest.mark.parametrize("named", ["data.py", "../net.py"])
def test_only_code_that_was_shown_is_loaded_as_a_plugin(tmp_path, named):
    record = own_record(tmp_path)
    record.sources = [SourceFile("net.py", "a" * 64, 10)]
    record.command = ["run", "--backend", "mine", "--plugin", named, "--plugin", "./net.py"]
    assert plugins_of(record) == ["net.py"]
    record.command = ["run", "--no-such-option", "--plugin", "net.py"]
    assert plugins_of(record) == []
