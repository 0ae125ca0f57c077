"""A stranger's bundle: whatever it is, nothing is written outside a new folder, and nothing runs unasked."""

import io
import json
import stat
import zipfile

import msgspec
import pytest
from support.made_bundles import NET, own_record, save_own
from support.records import as_stored

from harness.core.documents.kinds import encode_document
from harness.core.runs.store import RUNS
from harness.errors import HarnessError, UsageError
from harness.sharing.bundle import opening
from harness.sharing.bundle.opening import opened
from harness.sharing.reproduce.bundles import confirmation, lay_out

RECORD = "results/runs/20260101-000000-net-torch-eager-s0-abcd.json"


@pytest.fixture
def content(tmp_path, monkeypatch):
    """The files of a good bundle by their names, without their list."""
    folder = tmp_path / "made"
    folder.mkdir()
    monkeypatch.chdir(folder)
    (path,) = save_own(folder, msgspec.structs.replace(own_record(folder), folder=""))
    monkeypatch.chdir(tmp_path)
    sources = {f"results/sources/{file.name}": file.read_bytes() for file in folder.glob("results/sources/*")}
    return {RECORD: path.read_bytes(), **sources, "README.txt": b"Read me\n"}


def packed(path, content, records=(RECORD,)):
    """Write a zip of ``content`` that names ``records``."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bundle.json", json.dumps({"records": records}))
        for name, each in content.items():
            archive.writestr(name, each)
    return path


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def assert_refused(tmp_path, path, match):
    """Check that a bundle is refused before it is offered, and leaves nothing."""
    before = everything(tmp_path)
    with pytest.raises(UsageError, match=match):
        opened(path, tmp_path / "new", lambda _: pytest.fail("it was offered"))
    assert everything(tmp_path) == before


def test_a_good_bundle_is_offered_and_unpacked(tmp_path, content):
    offers = []
    paths = opened(packed(tmp_path / "claim.zip", content), tmp_path / "new", offers.append)
    assert paths == [tmp_path / "new" / RECORD]
    assert paths[0].read_bytes() == content[RECORD]
    (offered,) = offers
    assert offered.commands[0].startswith("harness run --model net.py:make")
    assert {source.path for source in offered.sources} == {"net.py", "helper.py"}
    assert [target.rpartition("/")[2] for target in offered.callables] == ["net.py:make"]
    assert any(each.startswith("msgspec==") for each in offered.requirements)
    assert offered.variables["OMP_NUM_THREADS"] == "2"
    assert oct((tmp_path / "new").stat().st_mode)[-3:] == "755"


def test_an_interpreter_and_variables_of_a_configuration_are_shown(tmp_path, content):
    document = json.loads(content[RECORD])
    document["configuration"] |= {"python": "/srv/evil/python", "variables": [["LD_PRELOAD", "/srv/evil.so"]]}
    offers = []
    path = packed(tmp_path / "claim.zip", content | {RECORD: as_stored(document)})
    opened(path, tmp_path / "new", offers.append)
    text = str(msgspec.json.encode(offers[0].document().nodes, enc_hook=str))
    assert "/srv/evil/python" in text
    assert "LD_PRELOAD" in text
    assert "/srv/evil.so" in text


@pytest.mark.parametrize(
    "name",
    ["../evil.json", "results/../../evil.json", "/srv/evil.json", "data/torch.py", "results/sources/a/b.py"],
)
def test_a_file_elsewhere_or_of_another_kind_is_refused(tmp_path, content, name):
    path = packed(tmp_path / "evil.zip", content | {name: b"evil"})
    assert_refused(tmp_path, path, "no bundle has a file")


def test_a_link_is_written_as_a_file(tmp_path, content):
    entry = zipfile.ZipInfo("data/x.npz")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    opened(packed(tmp_path / "evil.zip", content | {entry: "/etc/passwd"}), tmp_path / "new", lambda _: None)
    assert not (tmp_path / "new" / "data" / "x.npz").is_symlink()


@pytest.mark.parametrize("limit", ["MOST_BYTES", "_MOST_FILES"])
def test_too_much_is_refused(tmp_path, content, monkeypatch, limit):
    monkeypatch.setattr(opening, limit, 3)
    assert_refused(tmp_path, packed(tmp_path / "evil.zip", content), "it has 5 files")


@pytest.mark.parametrize("records", [[], ["results/runs/none.json"], 1])
def test_a_list_without_records_is_refused(tmp_path, content, records):
    assert_refused(tmp_path, packed(tmp_path / "evil.zip", content, records), "is no bundle")


def test_a_file_that_is_no_record_is_refused_by_its_name(tmp_path, content):
    path = packed(tmp_path / "evil.zip", content | {RECORD: encode_document({"a": 1})})
    assert_refused(tmp_path, path, f"evil.zip: {RECORD}")


@pytest.mark.parametrize("data", [b"", b"PK", b"no zip", bytes(1000)])
def test_what_is_no_zip_is_refused(tmp_path, data):
    (tmp_path / "claim.zip").write_bytes(data)
    assert_refused(tmp_path, tmp_path / "claim.zip", "is no bundle")


def test_a_cut_bundle_is_refused(tmp_path, content):
    data = packed(tmp_path / "claim.zip", content).read_bytes()
    for cut in range(0, len(data), 97):
        (tmp_path / "claim.zip").write_bytes(data[:cut])
        assert_refused(tmp_path, tmp_path / "claim.zip", "no bundle")


def test_an_existing_folder_is_refused(tmp_path, content):
    path = packed(tmp_path / "claim.zip", content)
    (tmp_path / "old").mkdir()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("old", "dangling"):
        with pytest.raises(UsageError, match="exists; a bundle is opened into a new folder"):
            opened(path, tmp_path / name, lambda _: None)
    assert everything(tmp_path / "old") == []
    with pytest.raises(UsageError, match="does not exist"):
        opened(path, tmp_path / "none" / "new", lambda _: None)


def test_without_a_terminal_nobody_is_asked_and_nothing_is_opened(tmp_path, content, monkeypatch, capsys):
    path = packed(tmp_path / "claim.zip", content)
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    with pytest.raises(UsageError, match="add --yes to agree"):
        opened(path, tmp_path / "new", confirmation(yes=False))
    assert not (tmp_path / "new").exists()
    shown = capsys.readouterr().err
    assert "net.py" in shown
    assert "as you trust the author of a program" in shown.replace("\n", " ")
    opened(path, tmp_path / "new", confirmation(yes=True))
    assert (tmp_path / "new" / RECORD).is_file()


@pytest.mark.parametrize(("answers", "opens"), [("y", True), ("n", False), ("", False)])
def test_a_user_at_a_terminal_decides(tmp_path, content, monkeypatch, capsys, answers, opens):
    path = packed(tmp_path / "claim.zip", content)
    typed = io.StringIO(f"{answers}\n")
    typed.isatty = lambda: True
    monkeypatch.setattr("sys.stdin", typed)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    confirm = confirmation(yes=False)
    if opens:
        opened(path, tmp_path / "new", confirm)
    else:
        with pytest.raises(UsageError, match="nothing of it was run"):
            opened(path, tmp_path / "new", confirm)
    assert (tmp_path / "new").exists() == opens
    assert NET in capsys.readouterr().err


@pytest.mark.parametrize("evil", ["../evil.py", "net.pth", "part/../../evil.py"])
def test_a_source_cannot_be_laid_out_elsewhere(tmp_path, content, evil):
    (path,) = opened(packed(tmp_path / "claim.zip", content), tmp_path / "new", lambda _: None)
    record = RUNS.read(path)
    record.sources = [msgspec.structs.replace(record.sources[0], path=evil)]
    with pytest.raises(UsageError, match="is no path of a Python file"):
        lay_out([record], tmp_path / "new" / "results", tmp_path / "place")
    assert not (tmp_path / "evil.py").exists()


@pytest.mark.parametrize("name", ["../../evil", "/evil", "a/evil"])
def test_no_record_is_saved_outside_its_folder(tmp_path, name):
    record = msgspec.structs.replace(own_record(tmp_path), id=name)
    before = everything(tmp_path)
    with pytest.raises(HarnessError, match="no name of a file"):
        RUNS.save(record, tmp_path / "results" / "runs")
    assert everything(tmp_path) == before
