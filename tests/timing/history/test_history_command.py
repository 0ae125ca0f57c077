"""``harness history`` as a user calls it: what it prints and writes, and what it skips."""

import json
import sys

import msgspec
import pytest
from support.made_duels import save_duel, stored_duel
from support.made_gates import BASE, HEAD, commit, fixed_gates, save
from support.repository import add_commit, git

REGRESSIONS = (8, 16, 24)
LEVELS = [1.03 ** sum(place >= at for at in REGRESSIONS) for place in range(30)]


@pytest.fixture(scope="module")
def gates():
    return fixed_gates(LEVELS, noise=0.004)


@pytest.fixture
def work(quick, gates):
    save(quick.folder, *gates)
    return quick


def points(done):
    """The metrics of the series, with their numbers of points."""
    series = json.loads(done.stdout)["series"]
    return {each["metric"]: len(each["points"]) for each in series}


def test_changes_are_found(work):
    done = work("history")
    assert (done.returncode, done.stderr) == (0, "")
    for place in REGRESSIONS:
        assert commit(place)[:10] in done.stdout
    assert points(work("history", "--metric", "memory", "--format", "json")) == {"memory": 30}


@pytest.mark.parametrize("name", ["history.html", "history.md", "history.json"])
def test_files_are_written(work, name):
    done = work("history", "--to", name)
    assert done.returncode == 0, done.stderr
    assert f"commit {commit(REGRESSIONS[1])[:10]}" in (work.folder / name).read_text()
    refused = work("history", "--to", f"nowhere/{name}")
    assert refused.returncode == 2
    assert "the folder nowhere does not exist" in refused.stderr


def test_several_files_are_written_at_once(work):
    done = work("history", "--to", "history.md", "--to", "history.json")
    assert done.returncode == 0, done.stderr
    assert all((work.folder / name).stat().st_size for name in ("history.md", "history.json"))
    assert "must be one of" in work("history", "--to", "history.md", "--to", "history.txt").stderr


def test_commits_of_the_repository_have_their_titles_and_links(quick):
    """Those that it lacks, and texts that are no commits, have none."""
    for number in range(2):
        add_commit(quick.folder, {"file": f"{number}\n"}, f"change {number}")
    commits = git(quick.folder, "log", "--format=%H").split()
    git(quick.folder, "remote", "add", "origin", "https://someone:secret@example.org/me/project.git")
    gates = fixed_gates([1.0] * 4)
    for gate, head in zip(gates, [*commits, commit(3), "--output=file"], strict=True):
        gate.head = msgspec.structs.replace(gate.head, commit=head)
    save(quick.folder, *gates)
    done = quick("history", "--format", "json", "--metric", "step")
    (series,) = json.loads(done.stdout)["series"]
    assert [point["title"] for point in series["points"]] == ["change 1", "change 0", None, None]
    addresses = [f"https://example.org/me/project/commit/{each}" for each in commits]
    assert [point["address"] for point in series["points"]] == [*addresses, None, None]
    assert not (quick.folder / "file").read_text().strip("1\n")
    quick("history", "--to", "history.html")
    assert f'<a href="{addresses[0]}"' in (quick.folder / "history.html").read_text()


def test_files_and_folders_can_be_named(work):
    (elsewhere := work.folder / "artefacts").mkdir()
    paths = sorted((work.folder / "results" / "gates").iterdir())
    for path in paths[:5]:
        path.rename(elsewhere / path.name)
    two = [f"artefacts/{path.name}" for path in paths[:2]]
    for named, count in (["artefacts"], 5), (["results"], 25), (two, 2):
        assert points(work("history", *named, "--format", "json"))["step"] == count


def test_files_that_are_no_gates_are_named_and_skipped(work, snapshot):
    (work.folder / "results" / "gates" / "20260101-broken.json").write_text("{")
    save_duel(work.folder, stored_duel()).rename(work.folder / "results" / "gates" / "20260101-duel.json")
    done = work("history", "--format", "json")
    assert (done.returncode, done.stderr) == (1, snapshot)
    assert points(done)["step"] == 30


def test_gates_of_which_none_is_usable_are_no_success(quick, snapshot):
    base, head = (msgspec.structs.replace(environment, commit=None) for environment in (BASE, HEAD))
    gates = [msgspec.structs.replace(gate, base=base, head=head) for gate in fixed_gates([1.0] * 3)]
    save(quick.folder, *gates)
    done = quick("history")
    assert (done.returncode, done.stderr) == (2, snapshot)
    assert quick("history", "--same-base").returncode == 0


@pytest.mark.parametrize(
    ("module", "arguments", "extra"),
    [("ruptures", (), "history"), ("vl_convert", ("--to", "history.html"), "report")],
)
def test_a_library_that_is_missing_is_named_with_the_extra_that_brings_it(
    work, monkeypatch, module, arguments, extra
):
    for name in [name for name in sys.modules if name.startswith("harness.core.documents.")]:
        monkeypatch.delitem(sys.modules, name)  # or they would not be imported again
    monkeypatch.setitem(sys.modules, module, None)
    done = work("history", *arguments)
    assert done.returncode == 2
    assert f'pip install "dl-harness[{extra}]"' in done.stderr
