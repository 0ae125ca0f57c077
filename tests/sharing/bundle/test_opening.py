"""A stranger's bundle: whatever it is, nothing is written outside a new folder, and nothing runs unasked."""

import hashlib
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
from harness.sharing.bundle import manifest
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


def listed(content, **changes):
    """The list of the files, as bundle.json has it."""
    files = {
        name: {"bytes": len(each), "sha256": hashlib.sha256(each).hexdigest()}
        for name, each in content.items()
    }
    fields = {"format": manifest.FORMAT, "harness": "0.1.0", "records": [RECORD], "files": files} | changes
    return json.dumps(fields).encode()


def packed(path, content, further=(), **changes):
    """Write a zip of ``content`` with its list, and of ``further`` entries, which the list does not have."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(manifest.MANIFEST, listed(content, **changes))
        for name, each in [*content.items(), *further]:
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
    assert offered.records[0].command.startswith("harness run --model net.py:make")
    assert {source.path for source in offered.sources.values()} == {"net.py", "helper.py"}
    assert [target.rpartition("/")[2] for target in offered.callables] == ["net.py:make"]
    assert "msgspec" in offered.requirements
    assert offered.variables["OMP_NUM_THREADS"] == {"2"}
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
    ("name", "match"),
    [
        ("../evil.py", "leads out of the folder"),
        ("results/../../evil.py", "leads out of the folder"),
        ("/srv/evil.py", "leads out of the folder"),
        ("C:/evil.py", "leads out of the folder"),
        ("results\\..\\evil.py", "a character that no name"),
        ("results/runs/\x1b[2J.json", "a character that no name"),
        ("results/runs/\u202egnp.json", "a character that no name"),
        ("results/runs/", "bundles have no such file"),
        ("results//runs/a.json", "bundles have no such file"),
        ("results/./runs/a.json", "bundles have no such file"),
        ("torch.py", "bundles have no such file"),
        ("data/torch.py", "bundles have no such file"),
        ("data/torch/__init__.so", "bundles have no such file"),
        ("results/sources/torch.py", "bundles have no such file"),
        ("results/runs/deep/a.json", "bundles have no such file"),
        ("data/" + "a/" * 30 + "x.npz", "too long"),
        ("data/" + "a" * 300 + ".npz", "too long"),
    ],
)
def test_names_that_lead_elsewhere_are_refused(tmp_path, content, name, match):
    assert_refused(tmp_path, packed(tmp_path / "evil.zip", content | {name: b"evil"}), match)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFDIR])
def test_links_and_devices_are_refused(tmp_path, content, kind):
    entry = zipfile.ZipInfo("data/x.npz")
    entry.external_attr = (kind | 0o777) << 16
    path = packed(tmp_path / "evil.zip", content, [(entry, "/etc/passwd")])
    assert_refused(tmp_path, path, "a link or a device")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", ["README.txt", "DATA/x.npz", "data/é.npz"])
def test_a_name_twice_is_refused(tmp_path, content, name):
    content |= {"data/x.npz": b"1", "data/é.npz": b"2"}
    path = packed(tmp_path / "evil.zip", content, [(name, b"another")])
    assert_refused(tmp_path, path, "twice")


def test_a_file_that_is_also_a_folder_is_refused(tmp_path, content):
    content |= {"data/x.npz": b"1", "data/x.npz/y.npz": b"2"}
    assert_refused(tmp_path, packed(tmp_path / "evil.zip", content), "is also a file")


def test_a_bomb_is_refused_by_its_stated_size(tmp_path, content):
    path = packed(tmp_path / "bomb.zip", content | {"data/x.npz": bytes(2**27)})
    assert_refused(tmp_path, path, "would unpack to")


def test_a_bomb_that_states_a_small_size_is_not_unpacked(tmp_path, content):
    large, small = bytes(2**24), bytes(64)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(manifest.MANIFEST, listed(content | {"data/x.npz": small}))
        for name, each in (content | {"data/x.npz": large}).items():
            archive.writestr(name, each)
    sizes = [len(each).to_bytes(4, "little") for each in (large, small)]
    lying = (tmp_path / "bomb.zip").read_bytes().replace(*sizes)
    (tmp_path / "bomb.zip").write_bytes(lying)
    with zipfile.ZipFile(tmp_path / "bomb.zip") as archive:
        assert archive.getinfo("data/x.npz").file_size == len(small)
    assert_refused(tmp_path, tmp_path / "bomb.zip", "damaged")


def test_too_many_files_are_refused(tmp_path, content, monkeypatch):
    monkeypatch.setattr(manifest, "MOST_FILES", 3)
    assert_refused(tmp_path, packed(tmp_path / "evil.zip", content), "has 5 files")


def test_an_encrypted_entry_is_refused(tmp_path, content):
    path = packed(tmp_path / "evil.zip", content)
    data = bytearray(path.read_bytes())
    start = data.index(b"PK\x01\x02")
    data[start + 8] |= 1
    path.write_bytes(data)
    assert_refused(tmp_path, path, "encrypted")


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"format": 2}, "has format 2"),
        ({"records": []}, "has no record"),
        ({"records": ["results/runs/none.json"]}, "is not in it"),
        ({"records": ["README.txt"]}, "is not in it"),
        ({"records": 1}, "is no bundle"),
        ({"files": {}}, "the files differ in 'README.txt'"),
    ],
)
def test_a_wrong_list_is_refused(tmp_path, content, changes, match):
    assert_refused(tmp_path, packed(tmp_path / "evil.zip", content, **changes), match)


def test_damage_is_named(tmp_path, content):
    good = listed(content)
    with zipfile.ZipFile(tmp_path / "claim.zip", "w") as archive:
        archive.writestr(manifest.MANIFEST, good)
        for name, each in (content | {"README.txt": b"Read it\n"}).items():
            archive.writestr(name, each)
    assert_refused(tmp_path, tmp_path / "claim.zip", "'README.txt' is damaged or was edited")


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


def test_a_bundle_with_any_byte_changed_never_writes_elsewhere(tmp_path, content):
    data = packed(tmp_path / "claim.zip", content).read_bytes()
    for place in range(0, len(data), 61):
        changed = bytearray(data)
        changed[place] ^= 0x15
        (tmp_path / "claim.zip").write_bytes(changed)
        before = everything(tmp_path)
        try:
            opened(tmp_path / "claim.zip", tmp_path / "new", lambda _: None)
        except UsageError:
            assert everything(tmp_path) == before
        else:  # a byte that says nothing, such as a time
            for path in sorted((tmp_path / "new").rglob("*"), reverse=True):
                (path.rmdir if path.is_dir() else path.unlink)()
            (tmp_path / "new").rmdir()


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
    assert "show accidents, not forgery" in shown
    opened(path, tmp_path / "new", confirmation(yes=True))
    assert (tmp_path / "new" / RECORD).is_file()


@pytest.mark.parametrize(("answers", "opens"), [("y", True), ("n", False), ("", False), ("s\ny", True)])
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
    assert (NET in capsys.readouterr().err) == answers.startswith("s")


@pytest.mark.parametrize("evil", ["../evil.py", "net.pth", "part/../../evil.py"])
def test_a_source_cannot_be_laid_out_elsewhere(tmp_path, content, evil):
    (path,) = opened(packed(tmp_path / "claim.zip", content), tmp_path / "new", lambda _: None)
    record = RUNS.read(path)
    record.sources = [msgspec.structs.replace(record.sources[0], path=evil)]
    with pytest.raises(UsageError, match="is no path of a Python file"):
        lay_out([record], tmp_path / "new" / "results", tmp_path / "place")
    assert not (tmp_path / "evil.py").exists()


def test_a_record_that_is_not_named_is_refused(tmp_path, content):
    hidden = RECORD.replace("abcd", "ffff")
    path = packed(tmp_path / "hidden.zip", {**content, hidden: content[RECORD]})
    assert_refused(tmp_path, path, "does not name the record")


@pytest.mark.parametrize("name", ["../../evil", "/evil", "a/evil"])
def test_no_record_is_saved_outside_its_folder(tmp_path, name):
    record = msgspec.structs.replace(own_record(tmp_path), id=name)
    before = everything(tmp_path)
    with pytest.raises(HarnessError, match="no name of a file"):
        RUNS.save(record, tmp_path / "results" / "runs")
    assert everything(tmp_path) == before
