"""``harness bundle``: what is in a bundle, what is left out, and what is refused."""

import json
import zipfile
from pathlib import Path

import msgspec
import numpy as np
import pytest
from support.made_bundles import own_record, save_own
from support.made_records import made_record
from support.records import make_unfinished_record

from harness.core.data_files import pictures
from harness.core.data_files.reading import READERS, read_data_file
from harness.core.data_files.settings import settings_of
from harness.core.documents.kinds import encode_document
from harness.core.runs.store import RUNS
from harness.sharing.bundle.opening import SUFFIXES, opened
from harness.sharing.reproduce.bundles import lay_out
from harness.spec.description import description_sha256


def names_in(path):
    with zipfile.ZipFile(path) as archive:
        return set(archive.namelist())


def text_in(path, name):
    with zipfile.ZipFile(path) as archive:
        return archive.read(name).decode()


def with_fingerprint(record, folder):
    """The record, with the fingerprint of the data that are now in its file."""
    fingerprint = read_data_file(folder / "data.npz", settings_of({})).dataset.fingerprint
    dataset = msgspec.structs.replace(record.dataset, fingerprint=fingerprint)
    return msgspec.structs.replace(record, dataset=dataset)


def test_a_bundle_has_the_record_its_code_and_its_data_and_repeats_elsewhere(quick, tmp_path):
    (path,) = save_own(tmp_path, with_fingerprint(own_record(tmp_path), tmp_path))
    done = quick("bundle", "last", "--data", "--to", "claim.zip")
    assert done.returncode == 0, done.stderr
    sources = {f"results/sources/{file.name}" for file in tmp_path.glob("results/sources/*")}
    assert len(sources) == 2
    expected = {"bundle.json", "README.txt", f"results/runs/{path.name}", "data/data.npz", *sources}
    assert names_in("claim.zip") - {"pages/runs.html"} == expected
    assert "harness reproduce claim.zip" in text_in("claim.zip", "README.txt")

    (record_path,) = opened(tmp_path / "claim.zip", tmp_path / "theirs", lambda _: None)
    record = RUNS.read(record_path)
    assert record.dataset.file.path == "data.npz"
    # By this hash a study knows its runs, those of a repetition too.
    assert record.task.sha256 == description_sha256(record.task.description)
    assert lay_out([record], tmp_path / "theirs" / "results", tmp_path / "place") == []
    for name in ("net.py", "helper.py", "data.npz"):
        assert (tmp_path / "place" / name).read_bytes() == (tmp_path / name).read_bytes()


def test_a_dry_run_lists_and_writes_nothing(quick, tmp_path):
    (path,) = save_own(tmp_path)
    done = quick("bundle", "last", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert f"results/runs/{path.name}" in done.stdout
    assert "data of" in done.stdout
    assert "--data" in done.stdout
    assert not list(tmp_path.glob("*.zip"))


def test_weights_are_left_out_unless_asked_for(quick, tmp_path):
    (path,) = save_own(tmp_path)
    (path.parent / f"{path.stem}-last.safetensors").write_bytes(b"weights")
    (path.parent / f"{path.stem}.png").write_bytes(b"picture")
    (path.parent / "another.png").write_bytes(b"not of this record")
    done = quick("bundle", "last", "--to", "claim.zip")
    assert "weights are added by --weights" in " ".join(done.stdout.split())
    beside = {f"results/runs/{path.stem}.png"}
    assert {name for name in names_in("claim.zip") if name.endswith(("png", "safetensors"))} == beside
    quick("bundle", "last", "--weights", "--to", "claim.zip")
    beside.add(f"results/runs/{path.stem}-last.safetensors")
    assert {name for name in names_in("claim.zip") if name.endswith(("png", "safetensors"))} == beside


def test_lost_data_are_left_out(quick, tmp_path):
    save_own(tmp_path)
    (tmp_path / "data.npz").unlink()
    assert "no longer" in quick("bundle", "last", "--data", "--dry-run").stdout


def test_files_outside_the_folder_of_the_command_get_a_place_in_it(quick, tmp_path, monkeypatch):
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    record = own_record(tmp_path)
    record.command[2] = "../net.py:make"
    save_own(work, record)
    done = quick("bundle", "last", "--data", "--results", str(work / "results"), "--to", "claim.zip")
    assert done.returncode == 0, done.stderr
    (path,) = opened(Path("claim.zip").absolute(), tmp_path / "theirs", lambda _: None)
    outside = f"outside{tmp_path}"
    record = RUNS.read(path)
    assert record.command[2] == f"{outside}/net.py:make"
    assert record.dataset.file.path == f"{outside}/data.npz"
    assert {source.path for source in record.sources} == {f"{outside}/net.py", f"{outside}/helper.py"}
    lay_out([record], tmp_path / "theirs" / "results", tmp_path / "place")
    assert (tmp_path / "place" / outside / "data.npz").is_file()


def test_a_lost_source_is_named(quick, tmp_path):
    save_own(tmp_path)
    for path in tmp_path.glob("results/sources/*"):
        path.unlink()
    done = quick("bundle", "last", "--to", "claim.zip")
    assert done.returncode == 0
    assert "net.py" in done.stdout.partition("Left out")[2]


def test_a_record_without_its_code_is_named(quick, tmp_path):
    path = tmp_path / "results" / "runs" / "earlier.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(encode_document(own_record(tmp_path)))
    done = quick("bundle", "earlier", "--dry-run")
    assert done.returncode == 0, done.stderr
    left_out = " ".join(done.stdout.partition("Left out")[2].split())
    assert "earlier: its record does not contain the code of" in left_out


def test_a_folder_of_results_and_an_id_name_records(quick, tmp_path):
    first, second = save_own(tmp_path, own_record(tmp_path), made_record())
    assert quick("bundle", "results", first.stem, "--to", "claim.zip").returncode == 0
    records = json.loads(text_in("claim.zip", "bundle.json"))["records"]
    assert records == [f"results/runs/{path.name}" for path in (first, second)]


def test_the_files_of_data_are_those_that_harness_reads():
    assert {*SUFFIXES} >= {*READERS, *pictures._SUFFIXES}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "name the records to bundle"),
        (("last",), "give the file to write: --to claim.zip"),
        (("last", "--to", "claim.tar"), "a bundle is a .zip file"),
        (("last", "--to", "none/claim.zip"), "the folder none does not exist"),
        (("nowhere", "--to", "claim.zip"), "unknown record 'nowhere'"),
        ((".", "--to", "claim.zip"), "no records in ."),
        (("--open", "none.zip", "--to", "new"), "does not exist"),
        (("--open", "bad.zip"), "give the new folder to unpack bad.zip into: --to bad"),
        (("--open", "bad.zip", "--to", "new"), "bad.zip is no bundle"),
        (("--open", "bad.zip", "--to", "new", "--data"), "--open takes a bundle and --to FOLDER alone"),
        (("last", "--open", "bad.zip", "--to", "new"), "--open takes a bundle and --to FOLDER alone"),
    ],
)
def test_wrong_input_is_refused(quick, tmp_path, arguments, message):
    save_own(tmp_path)
    (tmp_path / "bad.zip").write_text("no zip")
    done = quick("bundle", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "new").exists()


def test_a_run_that_goes_on_is_refused(quick, tmp_path):
    from harness.core.machine.processes import this_process

    record = msgspec.structs.replace(make_unfinished_record(status="running"), process=this_process())
    save_own(tmp_path, record)
    done = quick("bundle", "last", "--to", "claim.zip")
    assert done.returncode == 2
    assert "still running" in done.stderr


def test_open_lists_what_would_run_and_runs_nothing(quick, tmp_path):
    save_own(tmp_path)
    quick("bundle", "last", "--to", "claim.zip")
    done = quick("bundle", "--open", "claim.zip", "--to", "theirs")
    assert done.returncode == 0, done.stderr
    assert "harness run --model net.py:make" in done.stdout
    assert (tmp_path / "theirs" / "results" / "sources").is_dir()


@pytest.mark.long
def test_a_run_of_an_own_model_is_found_in_another_folder(harness, tmp_path):
    pytest.importorskip("torch")
    work = harness.folder
    (work / "parts.py").write_text("import torch\n\n\ndef head(n):\n    return torch.nn.Linear(n, 3)\n")
    (work / "net.py").write_text(
        "import torch\nfrom parts import head\n\n\ndef make(width=8):\n"
        "    return torch.nn.Sequential(torch.nn.Linear(6, width), torch.nn.ReLU(), head(width))\n"
    )
    x = np.random.default_rng(0).normal(size=(300, 6)).astype(np.float32)
    np.savez(work / "data.npz", x=x, y=(x[:, 0] > 0).astype(int) + (x[:, 1] > 0))
    run = ("run", "--model", "net.py:make", "--dataset", "data.npz", "--max-steps", "5", "--threads", "1")
    harness.ok(*run)
    (path,) = (work / "results" / "runs").glob("*.json")
    harness.ok("bundle", "last", "--data", "--to", "claim.zip")

    theirs = tmp_path / "theirs"
    (opened_path,) = opened(work / "claim.zip", theirs, lambda _: None)
    assert opened_path == theirs / "results" / "runs" / path.name
    mine, record = RUNS.read(path), RUNS.read(opened_path)
    assert record.epochs == mine.epochs
    assert record.first_losses == mine.first_losses
    assert {"torch", "numpy", "dl-harness"} <= record.distributions.keys()
    assert {source.path for source in record.sources} == {"net.py", "parts.py"}
    lay_out([record], theirs / "results", tmp_path / "place")
    for name in ("net.py", "parts.py", "data.npz"):
        assert (tmp_path / "place" / name).read_bytes() == (work / name).read_bytes()
    for name in names_in(work / "claim.zip"):
        with zipfile.ZipFile(work / "claim.zip") as archive:
            assert str(work).encode() not in archive.read(name), name
