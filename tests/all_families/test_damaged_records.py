"""Damaged records of every kind: each command that reads results skips them by name, and none fails.

``HARNESS_TEST_EXAMPLES=20000 pytest -n 0 tests/all_families/test_damaged_records.py`` tries more of them.
"""

import functools
import json
import shutil
import warnings
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.damage import CHANGES, MISSING, VALUES, at, called, damaged, flipped, places
from support.fuzzing import fuzzing
from support.made_bisections import made_bisection
from support.made_duels import made_time, save_duel, stored_duel
from support.made_gates import fixed_gates
from support.made_ports import made_port
from support.made_study import STUDY, made_study_records
from support.records import as_stored, make_record, make_unfinished_record, save_runs

from harness import load_results
from harness.learning.study.record import STUDIES, Trial
from harness.port.record import PORTS
from harness.timing.bisect.record import BISECTIONS
from harness.timing.gate.record import GATES
from harness.timing.time.record import TIMES

STORED = Path(__file__).parents[1] / "support" / "stored_records"


@functools.cache
def originals(folder: Path) -> dict[Path, bytes]:
    """Whole results of every kind under a folder, by their files."""
    again = make_record("20260101-000002-cnn-torch-eager-s1-abcd", seed=1)
    save_runs(folder, make_record(), again, make_unfinished_record())
    for path in [*sorted((STORED / "runs").iterdir())[:5], *(STORED / "runs").glob("*gan*")]:
        shutil.copy(path, folder / "runs")
    shutil.copytree(STORED / "studies", folder / "studies")
    tuned = [Trial(each.name, each.assignments, each.description, 50.0) for each in STUDY.variants]
    named = {"trials": tuned, "reference": STUDY.variants[0].name, "target": 60.0, "tuned_on": "torch:eager"}
    STUDIES.save(msgspec.structs.replace(STUDY, **named), folder / STUDIES.folder)
    PORTS.save(made_port(), folder / PORTS.folder)
    short = stored_duel()
    save_duel(folder, msgspec.structs.replace(short, pairs=short.pairs[:2]))
    TIMES.save(made_time(), folder / TIMES.folder)
    BISECTIONS.save(made_bisection(), folder / BISECTIONS.folder)
    for gate in fixed_gates([1.0, 1.1, 1.0]):
        GATES.save(gate, folder / GATES.folder)
    return {path: path.read_bytes() for path in sorted(folder.glob("*/*.json"))}


@functools.cache
def document_in(content: bytes) -> dict:
    document = json.loads(content)
    document.pop("checksum", None)
    return document


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    originals(folder)
    return folder


def read_by_all(results, path):
    """Every command that reads this result; their exit codes."""
    suffix = ".html" if path.parent.name == "studies" else ".md"
    written = ["report", path, "--to", results.parent / f"page{suffix}"]
    commands = [["show", path], ["list", "results", "--results", results]]
    if path.parent.name != "runs":
        commands.append(written)
    else:
        commands += [["compare", path, "--results", results], ["compare", "task=cnn", "--results", results]]
    if path.parent.name == "gates":
        commands += [["history", "--same-base", "--results", results]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # each names a file that was skipped
        load_results(results)
    return [called(*command)[0] for command in commands]


KINDS = ["runs", "duels", "gates", "studies", "times", "bisections", "ports"]
VALUE = st.sampled_from(VALUES) | st.floats(allow_nan=False, allow_infinity=False) | st.integers() | st.text()


@pytest.mark.parametrize("kind", KINDS)
@fuzzing(20)
@given(data=st.data())
def test_a_field_of_any_value_is_read_or_refused(kind, data, results):
    files = [path for path in originals(results) if path.parent.name == kind]
    path = data.draw(st.sampled_from(files))
    original = originals(results)[path]
    document = document_in(original)
    for _ in range(data.draw(st.integers(1, 2))):
        place = data.draw(st.sampled_from(list(places(document))))
        changes = CHANGES.get(type(old := at(document, place)), ())
        changed = data.draw(st.none() | st.sampled_from(changes)) if changes else None
        document = damaged(document, place, data.draw(VALUE) if changed is None else changed(old))
    path.write_bytes(as_stored(document))
    try:
        assert set(read_by_all(results, path)) <= {0, 1, 2}
    finally:
        path.write_bytes(original)


@pytest.mark.parametrize("kind", KINDS)
@fuzzing(5)
@given(data=st.data())
def test_any_bytes_are_read_or_refused(kind, data, results):
    files = [path for path in originals(results) if path.parent.name == kind]
    path = data.draw(st.sampled_from(files))
    original = originals(results)[path]
    path.write_bytes(flipped(original, data.draw))
    try:
        assert set(read_by_all(results, path)) <= {0, 1, 2}
    finally:
        path.write_bytes(original)


DAMAGES = {
    "no loss": (("epochs", 0, "validation", "loss"), MISSING, "scores lack the loss"),
    "input shape": (("task", "description", "networks", "model", "input_shape", 0), -1, "conv2d_1"),
    "no layers": (("task", "description", "networks", "model", "layers"), [], "at least one layer"),
    "no time": (("blocks", 1, "seconds"), 5e-324, "at `$.blocks[1].seconds`"),
    "no network": (("task", "description", "networks"), {}, "the task has no network model"),
}


@pytest.mark.parametrize(("place", "value", "reason"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_run_is_named_and_skipped_and_the_others_are_compared(place, value, reason, tmp_path):
    named = (f"20260101-00000{seed}-cnn-torch-eager-s{seed}-abcd" for seed in range(3))
    save_runs(tmp_path, *(make_record(name, seed=seed) for seed, name in enumerate(named)))
    (path,) = tmp_path.glob("runs/*s1*.json")
    path.write_bytes(as_stored(damaged(json.loads(path.read_bytes()), place, value)))
    code, output = called("compare", "--results", tmp_path)
    assert (code, f"skipped: {path} is not a readable run record: " in output) == (1, True)
    assert reason in output
    assert "2 runs" in output
    code, output = called("show", path)
    assert (code, reason in output) == (2, True)


BROKEN_STUDIES = {
    "renamed variant": (("variants", 1, "name"), "dropouts", "variant 'dropouts' is unknown to its kind"),
    "variant twice": (("variants", 1, "name"), "plain", "expected each name once"),
    "no variants": (("variants",), [], "its variants are none"),
    "renamed trial": (("trials", 0, "variant"), "plains", "a trial is of variant 'plains'"),
    "other reference": (("reference",), "none", "its reference 'none' is none of its variants"),
    "no assignment": (("variants", 1, "assignments", 0), "dropout", "'dropout' is no assignment"),
    "no number": (("trials", 1, "assignments", 0), "dropout=x", "dropout=x"),
    "nothing decides": (("kind", "decisive"), [], "names no decisive quantity"),
}


@pytest.mark.parametrize(("place", "value", "reason"), BROKEN_STUDIES.values(), ids=BROKEN_STUDIES)
def test_a_study_that_contradicts_itself_is_refused_and_a_report_goes_on_without_it(
    place, value, reason, tmp_path
):
    records = list(made_study_records(1))
    save_runs(tmp_path, *records)
    trials = [Trial(each.name, each.assignments, each.description, 50.0) for each in STUDY.variants]
    path = STUDIES.save(msgspec.structs.replace(STUDY, trials=trials), tmp_path / STUDIES.folder)
    path.write_bytes(as_stored(damaged(json.loads(path.read_bytes()), place, value)))
    code, output = called("show", path)
    assert (code, f"{path} is not a readable study record: " in output, reason in output) == (2, True, True)
    code, output = called("report", "--to", tmp_path / "report.md", "--results", tmp_path)
    assert (code, reason in output, str(path) in output) == (1, True, True)


@pytest.mark.parametrize(
    ("place", "value"),
    [(("confirmation",), [1e9]), (("probes", 0, "log_ratio"), 1e9), (("same_within",), -2)],
)
def test_a_bisection_with_numbers_that_cannot_be_is_refused(place, value, tmp_path):
    path = BISECTIONS.save(made_bisection(), tmp_path)
    path.write_bytes(as_stored(damaged(json.loads(path.read_bytes()), place, value)))
    code, output = called("show", path)
    assert (code, f"{path} is not a readable bisection record: " in output) == (2, True)
