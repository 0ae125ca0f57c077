"""A site: what its pages have, what is made again, and what happens to files that cannot be read."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from support.made_gates import commit, fixed_gates, mixed_gate, save
from support.made_records import seeds_of
from support.records import MACHINE, save_runs

from harness.core.machine.description import Host

ATOM = "{http://www.w3.org/2005/Atom}"
#: A regression at the sixth commit, which the twelfth fixes.
LEVELS = [1.09 if 5 <= place < 11 else 1.0 for place in range(16)]


@pytest.fixture
def site(quick):
    """The folder of a site of runs and gates, and the call that makes it."""
    save_runs(quick.folder / "results", *seeds_of("torch"), *seeds_of("jax", accuracy=0.51))
    save(quick.folder, *fixed_gates(LEVELS, noise=0.004, name="train"), mixed_gate(number=20))
    done = quick("publish", "site")
    assert done.returncode == 0, done.stderr
    return quick.folder / "site"


def made(done):
    return json.loads(done.stdout)


def stamps(site):
    files = [path for path in site.rglob("*") if path.is_file() and path.name != ".written-by-harness"]
    return {path.relative_to(site): path.stat().st_mtime_ns for path in files}


def lost_links(site):
    """Every link of a page of a site that leads to no file of it."""
    for page in site.rglob("*.html"):
        for address in re.findall(r'(?:href|src)="(\.\.?/[^"#?]*)', page.read_text()):
            if not (page.parent / address).exists():
                yield page.name, address


def test_every_record_has_a_page_and_its_json_and_every_link_leads_somewhere(site, quick):
    for path in (quick.folder / "results").glob("*/*.json"):
        page = (site / "records" / f"{path.stem}.html").read_text()
        assert f"../results/{path.parent.name}/{path.name}" in page
        assert "harness reproduce" in page
        assert (site / "results" / path.parent.name / path.name).exists()
    assert list(lost_links(site)) == []


def test_scripts_are_in_files_that_pages_share(site):
    pages = list(site.rglob("*.html"))
    assert all(path.stat().st_size < 300_000 for path in pages)
    assert all("vega" not in path.read_text() or "assets/vega.js" in path.read_text() for path in pages)


def test_a_regression_its_commit_and_its_fix_are_on_the_start_page(site):
    start = (site / "index.html").read_text()
    row = next(row for row in start.split("<tr>") if "train, step" in row and commit(5)[:10] in row)
    assert "+9." in row
    assert f"2026-01-12, {commit(11)[:10]}" in row
    series = (site / "branch" / "train-step.html").read_text()
    assert f"harness bisect --good {commit(4)[:10]} --bad {commit(5)[:10]} --benchmark train" in series


def test_the_feed_has_changes_of_level_and_failed_gates(site):
    root = ElementTree.parse(site / "feed.xml").getroot()  # noqa: S314  it is ours
    titles = [entry.findtext(f"{ATOM}title") for entry in root.iter(f"{ATOM}entry")]
    assert any("train, step: +9." in title and commit(5)[:10] in title for title in titles)
    assert any(title.startswith("FAIL: ") for title in titles)
    ids = [element.text for element in root.iter(f"{ATOM}id")]
    assert len(ids) == len(set(ids))
    for entry in root.iter(f"{ATOM}entry"):
        assert (site / entry.find(f"{ATOM}link").get("href")).exists()


def test_nothing_is_made_again_if_nothing_changed(site, quick):
    before = stamps(site)
    assert made(quick("publish", "site", "--format", "json"))["made"] == 0
    after = stamps(site)
    assert {path for path in after if before.get(path) != after[path]} == {Path(".index.json")}


def test_one_more_run_changes_its_pages_and_those_of_its_task_alone(site, quick):
    before = stamps(site)
    save_runs(quick.folder / "results", *seeds_of("torch", [7]))
    quick("publish", "site")
    changed = {str(path) for path, time in stamps(site).items() if before.get(path) != time}
    changed = {re.sub(r"20260101-\d{6}.*s7-\w+", "NEW", path) for path in changed}
    assert {path for path in changed if not path.startswith("machines/")} == {
        *("records/NEW.html", "results/runs/NEW.json", "tasks/cnn.html"),
        *("index.html", "records.html", "assets/records.js", ".index.json"),
    }


def test_without_the_index_the_same_site_is_made_again(site, quick):
    def contents():
        return {path: path.read_bytes() for path in site.rglob("*") if path.is_file()}

    before = contents()
    (site / ".index.json").unlink()
    assert made(quick("publish", "site", "--format", "json"))["made"] > 20
    assert contents() == before
    (site / ".index.json").write_text("{broken")
    assert quick("publish", "site").returncode == 0


def test_the_pages_of_a_deleted_record_are_removed(site, quick):
    path = next((quick.folder / "results" / "runs").glob("*.json"))
    path.unlink()
    quick("publish", "site")
    assert not list(site.rglob(f"{path.stem}*"))
    assert list(lost_links(site)) == []


def test_a_file_that_cannot_be_read_is_named_and_ends_nothing(site, quick):
    broken = quick.folder / "results" / "runs" / "20260105-000000-000-broken.json"
    broken.write_text('{"schema": 1')
    done = quick("publish", "site")
    assert done.returncode == 1
    assert "skipped: runs/20260105-000000-000-broken.json" in done.stderr
    assert "20260105-000000-000-broken" in (site / "index.html").read_text()
    assert not (site / "records" / f"{broken.stem}.html").exists()
    broken.unlink()
    assert quick("publish", "site").returncode == 0


def test_host_user_and_home_are_not_in_the_site(quick, monkeypatch):
    monkeypatch.setenv("HOME", "/home/gretel")
    machine = msgspec.structs.replace(MACHINE, host=Host("gretels-laptop", "3f2a1c09d4e7"))
    command = ["run", "--results", "/home/gretel/secret-place"]
    save_runs(quick.folder / "results", *seeds_of("torch", [0], command=command, machine=machine))
    quick("publish", "site")
    files = [path for path in (quick.folder / "site").rglob("*") if path.suffix in {".html", ".json", ".js"}]
    texts = [path.read_text() for path in files if path.name != "vega.js"]
    assert any("machine " in text for text in texts)
    assert not any("gretel" in text or "3f2a1c09d4e7" in text for text in texts)


def test_an_empty_folder_has_a_site_that_says_so(quick):
    (quick.folder / "results").mkdir()
    assert quick("publish", "site").returncode == 0
    assert "No records yet" in (quick.folder / "site" / "index.html").read_text()
    assert list(lost_links(quick.folder / "site")) == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("publish", "site", "--results", "nowhere"), "there is no folder nowhere"),
        (("publish", "results"), "give another one for the site"),
        (("publish", "own"), "own has other files (notes.txt)"),
    ],
)
def test_wrong_folders_are_refused_before_anything_is_written(quick, arguments, words):
    (quick.folder / "results").mkdir()
    (quick.folder / "own").mkdir()
    (quick.folder / "own" / "notes.txt").write_text("mine")
    done = quick(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert [path.name for path in (quick.folder / "own").iterdir()] == ["notes.txt"]
