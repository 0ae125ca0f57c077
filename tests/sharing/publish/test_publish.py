"""``harness publish``: the files of a site."""

import re
from pathlib import Path

import pytest
from support.made_site import LEAK, SLOWER, commit, plant

from harness.core.runs.store import RUNS
from harness.sharing.publish.site import publish

SHARED = {"page.css", "page.js", "site.css", "site.js", "vega.js"}


def _publish(folder: Path, **options):
    given = {"title": "Site", "repository": ""} | options
    return publish(folder / "results", folder / "site", **given)


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


def test_scripts_are_shared(planted):
    for page in (planted / "site").rglob("*.html"):
        assert "vegaEmbed" not in page.read_text("utf-8")
    assert {path.name for path in (planted / "site" / "assets").iterdir()} == SHARED


def test_the_start_says_since_when_train_is_slower(planted):
    text = (planted / "site" / "index.html").read_text("utf-8")
    assert f'https://github.com/me/project/commit/{commit(SLOWER)}"' in text


def test_a_series_has_the_command_that_bisects_its_change(planted):
    text = (planted / "site" / "branch" / "load-memory.html").read_text("utf-8")
    ends = f"--good {commit(LEAK - 1)[:12]} --bad {commit(LEAK)[:12]}"
    assert f"harness bisect {ends} --benchmark load --metric memory" in text


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
