"""``harness publish``: the files of a site, what is made again, and what is removed."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support.made_records import made_record
from support.made_site import FIXED, LEAK, SLOWER, commit, plant
from support.records import save_runs

from harness.core.machine.checksums import with_checksum
from harness.core.runs.store import RUNS
from harness.sharing.publish.index import Index
from harness.sharing.publish.layout import slug
from harness.sharing.publish.site import publish

ATOM = "{http://www.w3.org/2005/Atom}"
SHARED = {"assets/page.css", "assets/page.js", "assets/site.css", "assets/site.js", "assets/vega.js"}


def _publish(folder: Path, **options):
    given = {"title": "Site", "repository": ""} | options
    return publish(folder / "results", folder / "site", **given)


def _files(site):
    return {
        str(path.relative_to(site)): path.stat().st_mtime_ns
        for path in site.rglob("*")
        if path.is_file() and path.name[0] != "."
    }


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("planted")
    plant(folder)
    _publish(folder, repository="https://github.com/me/project")
    return folder


def test_every_record_has_a_page_and_json_that_is_read_as_a_record(planted):
    site = planted / "site"
    for path in (planted / "results" / "runs").glob("*.json"):
        assert (site / "runs" / f"{path.stem}.html").is_file()
        assert RUNS.read(site / "runs" / path.name).id == path.stem
    gates = [path.stem for path in (planted / "results" / "gates").glob("*.json")]
    assert all((site / "gates" / f"{name}.html").is_file() for name in gates)


def test_every_link_leads_to_a_file_of_the_site(planted):
    site = planted / "site"
    for page in site.rglob("*.html"):
        for address in re.findall(r'(?:href|src)="([^"#]+)', page.read_text("utf-8")):
            if not address.startswith(("https://", "data:")):
                assert (page.parent / address.partition("?")[0]).resolve().is_file(), (page, address)


def test_no_page_is_larger_than_300_kb_and_scripts_are_shared(planted):
    for page in (planted / "site").rglob("*.html"):
        assert page.stat().st_size < 300_000
        assert "vegaEmbed" not in page.read_text("utf-8")
    assert _files(planted / "site").keys() >= SHARED


def test_the_start_says_since_when_train_is_slower_and_that_it_is_fixed(planted):
    text = (planted / "site" / "index.html").read_text("utf-8")
    assert f'https://github.com/me/project/commit/{commit(SLOWER)}"' in text
    assert f"fixed by {commit(FIXED)[:10]}" in text
    assert "not fixed" in text  # the leak


def test_a_series_has_the_command_that_bisects_its_change(planted):
    text = (planted / "site" / "branch" / "load-memory.html").read_text("utf-8")
    ends = f"--good {commit(LEAK - 1)[:12]} --bad {commit(LEAK)[:12]}"
    assert f"harness bisect {ends} --benchmark load --metric memory" in text


def test_the_feed_is_atom_with_an_entry_for_each_change_and_failed_gate(planted):
    root = ElementTree.parse(planted / "site" / "feed.xml").getroot()  # noqa: S314  made here
    entries = root.findall(f"{ATOM}entry")
    ids = [entry.findtext(f"{ATOM}id") for entry in entries]
    assert root.tag == f"{ATOM}feed"
    assert len(ids) == len(set(ids)) > len(list((planted / "results" / "gates").glob("*.json"))) / 2
    times = [entry.findtext(f"{ATOM}updated") for entry in entries]
    assert times == sorted(times, reverse=True)
    assert all((planted / "site" / entry.find(f"{ATOM}link").get("href")).is_file() for entry in entries)


def test_one_more_record_rewrites_only_what_depends_on_it(tmp_path):
    plant(tmp_path)
    _publish(tmp_path)
    before = _files(tmp_path / "site")
    (more,) = [made_record("torch", 7)]
    save_runs(tmp_path / "results", more)
    made = _publish(tmp_path)
    after = _files(tmp_path / "site")
    changed = {name for name in after if after[name] != before.get(name)}
    task = f"tasks/{slug(more.task.name)}.html"
    own = {f"runs/{more.id}.html", f"runs/{more.id}.json", task, "index.html", "records.html", "records/0.js"}
    assert made.changed == 1
    assert own <= changed
    assert not {name for name in changed if name.startswith(("gates/", "branch/", "assets/"))}
    assert len([name for name in changed if name.startswith("runs/")]) == 2


def test_nothing_is_written_if_nothing_changed_and_the_index_can_be_deleted(tmp_path):
    plant(tmp_path)
    _publish(tmp_path)
    before = _files(tmp_path / "site")
    _publish(tmp_path)
    assert _files(tmp_path / "site") == before
    (tmp_path / "site" / ".index.json").unlink()
    _publish(tmp_path)
    after = _files(tmp_path / "site")
    assert after == before


def test_a_page_that_is_gone_is_made_again(tmp_path):
    plant(tmp_path)
    _publish(tmp_path)
    page = next((tmp_path / "site" / "runs").glob("*.html"))
    content = page.read_bytes()
    page.unlink()
    assert _publish(tmp_path).changed == 1
    assert page.read_bytes() == content


def test_every_page_is_made_again_by_other_code(tmp_path, monkeypatch):
    plant(tmp_path)
    _publish(tmp_path)
    assert _publish(tmp_path).changed == 0
    monkeypatch.setattr("harness.sharing.publish.site._code_version", lambda: "another")
    assert _publish(tmp_path).changed > 0


def test_pages_of_a_deleted_record_are_removed(tmp_path):
    plant(tmp_path)
    _publish(tmp_path)
    (first, *_) = sorted((tmp_path / "results" / "runs").glob("*.json"))
    first.unlink()
    _publish(tmp_path)
    assert not list((tmp_path / "site" / "runs").glob(f"{first.stem}*"))
    assert first.stem not in (tmp_path / "site" / "index.html").read_text("utf-8")


def test_a_broken_record_is_listed_with_its_reason(tmp_path, quick):
    plant(quick.folder)
    broken = quick.folder / "results" / "runs" / "20260101-000000-999-broken.json"
    broken.write_text('{"epochs_asked": 1')
    result = quick("publish", "site")
    assert result.returncode == 1
    assert "20260101-000000-999-broken.json is not a readable run record" in result.stderr
    assert "20260101-000000-999-broken.json is not a readable run record" in (
        quick.folder / "site" / "index.html"
    ).read_text("utf-8")


def test_an_empty_folder_becomes_a_site(quick):
    result = quick("publish", "site")
    assert (result.returncode, result.stderr) == (0, "")
    assert "There are no records yet" in (quick.folder / "site" / "index.html").read_text("utf-8")
    assert (quick.folder / "site" / "feed.xml").is_file()


def test_other_files_are_never_touched(quick):
    (quick.folder / "site").mkdir()
    (quick.folder / "site" / "thesis.txt").write_text("mine")
    result = quick("publish", "site")
    assert result.returncode == 2
    assert "has other files (thesis.txt)" in result.stderr
    assert [path.name for path in (quick.folder / "site").iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("address", ["javascript:alert(1)", "http://a.b/c", "me/project"])
def test_an_address_that_is_none_is_refused(quick, address):
    result = quick("publish", "site", "--repository", address)
    assert result.returncode == 2
    assert "https://github.com/me/project" in result.stderr


def test_hosts_and_home_folders_are_not_published(tmp_path):
    plant(tmp_path)
    (path, *_) = sorted((tmp_path / "results" / "runs").glob("*.json"))
    record = json.loads(path.read_text())
    record.pop("checksum")
    record["machine"]["host"] = {"name": "alices-laptop", "id": "abc123abc123"}
    record["command"] = ["run", "--dataset", "/home/alice/secret/data.npz"]
    path.write_bytes(with_checksum(json.dumps(record, indent=1).encode()))
    _publish(tmp_path)
    for page in (tmp_path / "site").rglob("*"):
        if page.is_file() and page.name != "vega.js":
            content = page.read_text("utf-8")
            assert "alice" not in content, page


def test_a_damaged_index_is_made_again(tmp_path):
    (tmp_path / ".index.json").write_text("{")
    assert Index.read(tmp_path, "any") == Index("any")
