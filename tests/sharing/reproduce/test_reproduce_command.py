"""``harness reproduce`` before and after repetitions: what it refuses, prints and returns."""

import json
import shutil
import sys
from types import ModuleType

import msgspec
import pytest
from support.made_ports import made_port
from support.made_study import RISES, STUDY, made_study_records
from support.pages import module
from support.records import MACHINE, make_record, make_unfinished_record, save_runs

from harness.core.documents.kinds import Envelope, Listed, RecordKind
from harness.core.plugins.kept_data import DataFile
from harness.core.runs.record import DatasetRecord
from harness.core.shell import features
from harness.core.shell.features import Feature
from harness.learning.study.record import STUDIES
from harness.sharing.feature import FEATURE
from harness.sharing.reproduce.page import Reproduced, document, exit_code
from harness.sharing.reproduce.ports import REPETITION as PORTS
from harness.sharing.reproduce.recorded_command import RecordedCommand
from harness.sharing.reproduce.repetition import (
    Agreement,
    Difference,
    Repetition,
    Stored,
    differences,
    machine_facts,
    other_packages,
    repetition_of,
)
from harness.sharing.reproduce.studies import STUDY_REPETITION, compare_verdicts
from harness.tracing.calls import InputShape


def refused(quick, *arguments):
    """The lines of the error of a call that is refused before anything runs."""
    done = quick("reproduce", *map(str, arguments))
    assert (done.returncode, done.stdout) == (2, "")
    assert not list(quick.folder.glob("reproduced-*"))
    return done.stderr.removeprefix("harness: ").splitlines()


def test_a_file_that_is_not_json_is_named(quick):
    file = quick.folder / "broken.json"
    file.write_text("{")
    (line,) = refused(quick, file)
    assert line.startswith(f"{file} is not a readable record file")


def test_json_that_is_no_record_is_named_with_the_kinds(quick):
    file = quick.folder / "other.json"
    file.write_text("{}")
    (line,) = refused(quick, file)
    assert "is not a record of any kind (run, duel" in line


def test_a_folder_without_records_and_a_missing_path_are_refused_at_once(quick):
    (quick.folder / "empty").mkdir()
    assert refused(quick, "empty", "gone") == [
        "no records in empty; give a results folder, or files of records",
        "gone does not exist; give files of records, or folders that have some",
    ]


def test_a_failed_run_is_refused(quick):
    store = save_runs(quick.folder / "results", make_unfinished_record())
    (path,) = store.paths()
    (line,) = refused(quick, path)
    assert line == f"{path}: the work ended as failed; only results are repeated"
    assert refused(quick, "results")[0] == "nothing can be repeated:"


def test_an_edited_record_is_refused(quick):
    (path,) = save_runs(quick.folder / "results", make_record()).paths()
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    assert "changed" in refused(quick, path)[0]


def test_a_kind_without_a_repetition_is_refused(monkeypatch):
    monkeypatch.setattr(features, "features", lambda: (Feature("none", "None"),))
    with pytest.raises(Exception, match="runs cannot be repeated"):
        repetition_of(features.records().kinds[0])


def test_all_that_is_lacking_is_named_before_anything_runs(quick):
    own = DataFile("/gone/data.csv")
    other = msgspec.structs.replace(make_record().configuration, backend="theano")
    gone = make_record("20260101-000000-a", configuration=other)
    data = make_record("20260101-000001-b", dataset=DatasetRecord("sensors", "a" * 64), device="cpu")
    file = make_record("20260101-000002-c", dataset=DatasetRecord("data", "b" * 64, file=own))
    bytes_differ = make_record("20260101-000003-d", dataset=DatasetRecord("digits", "f" * 64))
    save_runs(quick.folder / "results", gone, data, file, bytes_differ)
    lines = refused(quick, "results")
    assert lines[0] == "nothing was repeated, because this machine lacks:"
    assert [line.partition(" (for ")[0].partition(":")[0] for line in lines[1:]] == [
        "backend theano is not known; install its package, or name its file with --plugin",
        "data set digits has other content",
        "data set sensors is not known; install its package, or name its file with --plugin",
        "data file /gone/data.csv does not exist",
    ]
    assert lines[2].endswith("and 1 more)")


MADE = [
    Reproduced(
        kind="run",
        file=f"theirs/{number}.json",
        repeated=f"mine/{number}.json",
        outcome=Listed("mlp", "torch:eager", "accuracy 0.5"),
        agreement=Agreement(verdict=verdict, reasons=[f"reason of {verdict}"]),
        differences=[Difference("torch", "2.8", "2.9")],
    )
    for number, verdict in enumerate(["identical", "identical", "undecided", "different"])
]


@pytest.mark.parametrize(
    ("count", "code", "total"), [(2, 0, "Reproduced"), (3, 3, "Undecided"), (4, 1, "Not")]
)
def test_the_exit_code_and_the_total_follow_from_the_worst_verdict(count, code, total):
    assert exit_code(MADE[:count]) == code
    assert document(MADE[:count], "new").headline[0].startswith(total)


def test_packages_of_other_versions_in_both_are_one_difference():
    theirs, mine = (
        {"torch": "2.8", "numpy": "2.3", "scipy": "1"},
        {"torch": "2.9", "numpy": "2.4", "rich": "1"},
    )
    facts = {"torch": "2.8"}
    assert list(other_packages(theirs, mine, facts)) == [
        Difference("other packages", "numpy 2.3", "numpy 2.4")
    ]
    assert list(other_packages(theirs, theirs, facts)) == []


def test_differences_are_those_of_facts_in_their_order():
    other = msgspec.structs.replace(MACHINE, cpu="Other CPU", instruction_sets=["avx2"], python="3.13.0")
    assert differences(machine_facts(MACHINE), machine_facts(other)) == [
        Difference("Python", "3.12.1", "3.13.0"),
        Difference("CPU", "Test CPU", "Other CPU"),
        Difference("instruction sets", "", "avx2"),
    ]


@pytest.mark.parametrize(
    ("there", "here", "expected"),
    [
        ("best", "best", "holds"),
        ("best", "worse", "does not hold"),
        ("best", "undecided", "undecided"),
        ("best", "", "does not hold"),
    ],
)
def test_verdicts_of_studies_are_compared_by_variant(there, here, expected):
    assert compare_verdicts("adam on torch:eager", there, here).verdict == expected


def test_comparisons_of_models_agree_in_verdict_and_causes(tmp_path):
    port = made_port()
    assert PORTS.agreement(Stored(port, tmp_path), Stored(port, tmp_path)).verdict == "holds"
    equal, fewer = (
        msgspec.structs.replace(port, findings=msgspec.structs.replace(port.findings, **changes))
        for changes in ({"verdict": "equal", "causes": []}, {"causes": port.findings.causes[:1]})
    )
    assert PORTS.agreement(Stored(port, tmp_path), Stored(equal, tmp_path)).verdict == "does not hold"
    assert PORTS.agreement(Stored(port, tmp_path), Stored(fewer, tmp_path)).verdict == "holds in direction"


def test_a_comparison_of_models_is_repeated_with_the_recorded_shapes(tmp_path):
    inputs = [InputShape((8,)), InputShape((5,), integer=True, maximum=65)]
    words = ["port", "net.py:make", "knet.py:make", "--dataset", "table.csv", "--target", "price"]
    port = msgspec.structs.replace(made_port(), inputs=inputs, command=words)
    command = RecordedCommand(port.command, PORTS.commands)
    PORTS.arguments(port, command)
    assert command.words(tmp_path) == [
        "port", "--threads", str(port.options.threads), "--input", "8", "--input", "5", "--dtype", "float",
        "--dtype", "int", "--max", "65", "--results", str(tmp_path), "--", "net.py:make", "knet.py:make",
    ]  # fmt: skip


def stored_study(folder, rises=RISES):
    """Save a study with its runs."""
    for number, record in enumerate(made_study_records(rises=rises)):
        save_runs(folder, msgspec.structs.replace(record, id=f"2026-{number}"))
    return Stored(STUDY, STUDIES.save(STUDY, folder / STUDIES.folder))


def test_a_study_is_identical_if_all_its_runs_are(tmp_path):
    theirs, mine = (stored_study(tmp_path / name) for name in ("theirs", "mine"))
    found = STUDY_REPETITION.agreement(theirs, mine)
    assert (found.verdict, found.reasons) == (
        "identical",
        ["the losses and scores of 12 compared runs are equal bit for bit"],
    )
    other = stored_study(tmp_path / "other", {**RISES, "l2": (0.05, 1.5, 0.1)})
    assert STUDY_REPETITION.agreement(theirs, other).verdict != "identical"


class Dice(Envelope, kw_only=True):
    schema: int = 1
    eyes: int


def dice_repetition():
    """The repetition of the guide, without a command to give again."""
    namespace = {}
    exec(module("docs/how-to/reproduce-a-record.md", "my_dice"), namespace)  # noqa: S102

    class WithoutCommand(namespace["DiceRepetition"]):
        def repeat(self, records, kind, place):
            made = [
                msgspec.structs.replace(stored.record, id=f"{stored.record.id}-again") for stored in records
            ]
            return [Stored(record, kind.save(record, place.results / kind.folder)) for record in made]

    return WithoutCommand()


def test_a_kind_of_another_package_states_how_it_is_repeated(quick, monkeypatch):
    package = ModuleType("my_dice")
    package.DICE = RecordKind(
        name="die", folder="dice", type=Dice, schema=1, mark="eyes", row="my_dice:row", document="my_dice:row"
    )
    package.row = lambda record: Listed("", "", f"{record.eyes} eyes")
    package.REPETITION = dice_repetition()
    monkeypatch.setitem(sys.modules, "my_dice", package)
    own = Feature("dice", "Dice", records=("my_dice:DICE",), repetitions={"die": "my_dice:REPETITION"})
    commands = features.features
    monkeypatch.setattr(features, "features", lambda: (*commands(), own))
    features.records.cache_clear()
    try:
        record = Dice(
            schema=1, id="d", status="ok", started_at="2026-01-01", command=[], machine=MACHINE, eyes=4
        )
        path = package.DICE.save(record, quick.folder / "dice")
        done = quick("reproduce", str(path), "--to", "new", "--format", "json")
    finally:
        features.records.cache_clear()
    (found,) = json.loads(done.stdout)["records"]
    assert done.returncode == 0
    assert found["agreement"] == {"verdict": "identical", "reasons": ["4 there and 4 here"]}
    assert (quick.folder / "new" / "dice" / "d-again.json").exists()


def test_a_record_without_losses_is_left_out(quick):
    save_runs(quick.folder / "results", make_record(blocks=[]))
    assert "the record has no losses to compare" in refused(quick, "results")[1]


def test_every_kind_that_is_repeated_is_declared_and_importable():
    kinds = {kind.name: kind for kind in features.records().kinds}
    assert set(FEATURE.repetitions) <= set(kinds)
    assert all(isinstance(repetition_of(kinds[name]), Repetition) for name in FEATURE.repetitions)


TRAIN = "--backend torch --task mlp --epochs 1 --max-steps 30 --threads 1 --no-certify".split()  # noqa: SIM905


@pytest.mark.slow
def test_a_run_is_repeated_bit_for_bit_and_another_seed_is_found(harness, monkeypatch):
    """A real run; then its record with another seed and a new checksum, as a forger would write it."""
    from harness.core.documents.kinds import encode_document
    from harness.core.runs.losses import losses_beside
    from harness.core.runs.store import RUNS
    from harness.sharing.reproduce.quality import Trained
    from harness.sharing.reproduce.runs import _nearby as nearby

    harness.ok("run", *TRAIN)
    (path,) = (harness.folder / "results" / "runs").glob("*.json")
    done = harness.ok("reproduce", str(path), "--to", "mine", "--format", "json")
    (found,) = json.loads(done.stdout)["records"]
    assert found["agreement"]["verdict"] == "identical"
    assert found["agreement"]["reasons"] == [
        "the losses of all 30 steps and all scores are equal bit for bit"
    ]
    (mine,) = (harness.folder / "mine" / "runs").glob("*.json")
    losses = losses_beside(RUNS.read(mine), mine)
    monkeypatch.setenv("HARNESS_DATA_DIR", str(harness.folder.parent / "data"))
    near = nearby(Trained(RUNS.read(mine), losses), 20)
    apart = max(abs(a - b) for row, other in zip(*near, strict=True) for a, b in zip(row, other, strict=True))
    assert (len(near[0]), 0 < apart < 1e-3) == (10, True)
    edited = harness.folder / "edited"
    shutil.copytree(path.parent, edited)
    record = RUNS.read(path)
    record.seed = 7
    (edited / path.name).write_bytes(encode_document(record))
    done = harness("reproduce", str(edited / path.name), "--to", "mine", "--format", "json")
    (found,) = json.loads(done.stdout)["records"]
    assert done.returncode == 1
    assert found["agreement"]["reasons"][0].startswith("the loss of step 1 is")
