"""Results of every kind: found by name, path and time; a file of another kind is named with its kind."""

import gzip
import itertools
import json
import shutil
from pathlib import Path

import pytest
from support.damage import called
from support.made_bisections import made_bisection
from support.made_duels import made_time, stored_duel
from support.made_gates import made_benchmark, made_gate
from support.made_ports import made_port
from support.made_study import STUDY
from support.records import as_stored, make_record, save_runs

from harness.core.documents.kinds import UnreadableRecord, encode_document
from harness.core.runs.selection import Selection
from harness.core.runs.store import RUNS
from harness.core.shell.features import records
from harness.errors import UsageError
from harness.learning.study.record import STUDIES
from harness.port.record import PORTS
from harness.timing.bisect.record import BISECTIONS
from harness.timing.duel.record import DUELS
from harness.timing.gate.record import GATES
from harness.timing.time.record import TIMES

RECORDS = records()
KINDS = RECORDS.kinds
OLD = Path(__file__).parents[1] / "support" / "stored_records"
IDS = ("20260101-000000-a", "20260101-000000-ab", "20260102-000000-b")


#: What makes a result of each kind but runs, and how one of it is counted.
ALONE = {
    DUELS: (stored_duel, "1 duel"),
    GATES: (lambda: made_gate(made_benchmark()), "1 gate"),
    STUDIES: (lambda: STUDY, "1 study"),
    PORTS: (made_port, "1 port check"),
    TIMES: (made_time, "1 timing of a step"),
    BISECTIONS: (made_bisection, "1 bisection"),
}


def fill(results, *kinds):
    """Save a result of each of these kinds; the folder."""
    for kind in kinds:
        kind.save(ALONE[kind][0](), results / kind.folder)
    return results


@pytest.fixture
def results(tmp_path):
    """Three runs; then a gate, a duel and a study that are younger."""
    store = save_runs(tmp_path / "results", *map(make_record, IDS))
    return fill(store.folder.parent, GATES, DUELS, STUDIES)


@pytest.fixture
def all_kinds(results):
    """The same, a comparison of two models, the times of a step, and a search for a commit."""
    return fill(results, PORTS, TIMES, BISECTIONS)


@pytest.mark.parametrize("path", sorted(OLD.glob("*/*")), ids=lambda path: path.parent.name)
def test_stored_records_are_of_their_folders_kind(tmp_path, path):
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    (tmp_path / "x.json").write_bytes(content)
    assert RECORDS.kind_of(tmp_path / "x.json").folder == path.parent.name


def test_a_file_of_another_kind_is_named_with_the_command_that_prints_it(all_kinds):
    for found, wanted in itertools.product(KINDS, repeat=2):
        (path, *_) = found.paths(all_kinds)
        documents, messages = RECORDS.read_all(wanted, [path])
        assert (len(documents), len(messages)) == ((1, 0) if wanted is found else (0, 1))
        for message in messages:
            assert message.startswith(f"{path} is a {found.name}, not a {wanted.name}")
            assert message.endswith(f"harness show {path}")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_cut_file_and_one_of_a_later_harness_are_named(all_kinds, kind):
    path = kind.paths(all_kinds)[0]
    content = path.read_bytes()
    cut, later = (path.with_name(f"{name}.json") for name in ("cut", "later"))
    cut.write_bytes(content[: len(content) // 2])
    later.write_bytes(as_stored(json.loads(content) | {"schema": 99}))
    documents, (of_cut, of_later) = RECORDS.read_all(kind, [cut, later, path])
    assert documents == [kind.read(path)]
    assert str(cut) in of_cut
    assert (str(later) in of_later, "schema 99" in of_later) == (True, True)


@pytest.mark.parametrize(
    ("content", "message"),
    [("{}", "record of any kind"), ("{", "truncated"), ("[1]", "object"), ("\xff", "readable")],
)
def test_what_is_no_record_is_named(tmp_path, content, message):
    (tmp_path / "odd.json").write_text(content)
    with pytest.raises(UnreadableRecord, match=rf"odd\.json is not a .*{message}"):
        RECORDS.kind_of(tmp_path / "odd.json")


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("20260102-000000-b", "20260102-000000-b"),
        ("20260102", "20260102-000000-b"),
        ("20260101-000000-a", "20260101-000000-a"),
        ("20260101-000000-a.json", "20260101-000000-a"),
        ("20260101-000000-ab", "20260101-000000-ab"),
    ],
)
def test_a_result_is_found_by_its_id_or_its_beginning(results, name, found):
    assert RECORDS.find(results, name) == (RUNS, results / "runs" / f"{found}.json")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_is_found_by_its_id_its_beginning_its_path_and_its_content(all_kinds, tmp_path, kind):
    path = kind.paths(all_kinds)[-1]
    elsewhere = shutil.copy(path, tmp_path / "elsewhere.json")
    names = (path.stem, path.stem[:-1], str(path), elsewhere)
    assert {RECORDS.find(all_kinds, str(name)).kind for name in names} == {kind}
    assert RECORDS.kind_of(elsewhere) is kind
    assert RECORDS.result_in(elsewhere).kind.read(elsewhere) == kind.read(path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("20260101-00", r"matches 2 records; .* such as 20260101-000000-ab"),
        ("2027", r"unknown record '2027'\. .*: harness list results"),
    ],
)
def test_a_name_that_finds_nothing_or_too_much_is_answered_with_a_remedy(results, name, message):
    with pytest.raises(UsageError, match=message):
        RECORDS.find(results, name)


@pytest.mark.parametrize("find", [RECORDS.last, lambda results: RECORDS.find(results, "20260101")])
def test_an_empty_folder_says_how_to_make_a_record(tmp_path, find):
    with pytest.raises(UsageError, match=r"no records in .*: harness run"):
        find(tmp_path)


def test_results_are_in_the_order_of_their_times_whatever_their_kind(results):
    found = RECORDS.results_in(results)
    assert [result.path.stem for result in found[:2]] == list(IDS[:2])
    assert [result.kind for result in found[2:]] == [GATES, RUNS, DUELS, STUDIES]


def test_the_last_result_is_the_newest_readable_one(results):
    for path in STUDIES.paths(results):
        path.unlink()
    assert RECORDS.last(results)[0].kind is DUELS
    for path in DUELS.paths(results):
        path.write_text("{")
    result, record, (passed_over,) = RECORDS.last(results)
    assert (result.path.stem, record.id) == (IDS[2], IDS[2])
    assert "duel record" in str(passed_over)


def test_if_no_file_is_readable_the_newest_says_why(tmp_path):
    for name in ("20260101-a", "20260102-b"):
        (tmp_path / "runs").mkdir(exist_ok=True)
        (tmp_path / "runs" / f"{name}.json").write_text("{")
    with pytest.raises(UnreadableRecord, match="20260102-b"):
        RECORDS.last(tmp_path)


def test_other_results_are_separated_from_runs_and_filters(results):
    (duel,) = DUELS.paths(results)
    others, remaining = RECORDS.separated(
        RUNS, ["task=cnn", IDS[2], duel.stem, str(duel), str(results)], results
    )
    assert others == [(DUELS, duel)]
    assert remaining == ["task=cnn", IDS[2], str(results)]


def test_a_run_read_from_elsewhere_is_a_run(results, tmp_path):
    path = tmp_path / "run.json"
    path.write_bytes(encode_document(make_record()))
    assert RECORDS.separated(RUNS, [str(path)], results) == ([], [str(path)])


def test_a_folder_without_runs_is_answered_with_what_it_has(results):
    for path in RUNS.paths(results):
        path.unlink()
    with pytest.raises(UsageError, match=r"no runs in .*, but 1 duel, 1 gate and 1 study beside it\. Print"):
        Selection([], results, RECORDS)


@pytest.mark.parametrize("kind", ALONE, ids=lambda kind: kind.name)
def test_without_runs_the_message_names_the_commands_that_work(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    fill(tmp_path / "results", kind)
    for command in (("report", "--to", "all.html"), ("compare",)):
        code, output = called(*command)
        assert (code, output.count("\n")) == (2, 1)
        for sign in (ALONE[kind][1], "harness show last;", "harness report last --to page.html\n"):
            assert sign in output
    assert called("report", "last", "--to", "page.html") == (0, "page.html\n")
    assert called("show", "last")[0] == 0


def test_the_other_results_of_a_named_folder_are_counted(tmp_path):
    for number in range(2):
        TIMES.save(made_time(id=f"2026010{number}-000000-000-time"), tmp_path / TIMES.folder)
    code, output = called("report", "--results", tmp_path, "--to", tmp_path / "all.html")
    assert (code, "2 timings of steps" in output) == (2, True)
    assert f"harness report last --results {tmp_path} --to page.html" in output
