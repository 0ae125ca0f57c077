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
from support.damage import MISSING, VALUES, called, damaged, flipped, places
from support.fuzzing import fuzzing
from support.made_bisections import made_bisection
from support.made_duels import made_time, save_duel, stored_duel
from support.made_gates import fixed_gates
from support.records import as_stored, make_record, make_unfinished_record, save_runs

from harness import load_results
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
    commands = [["show", path], ["list", "results", "--results", results]]
    if path.parent.name == "runs":
        commands += [["compare", path, "--results", results], ["compare", "task=cnn", "--results", results]]
    if path.parent.name == "gates":
        commands += [["history", "--same-base", "--results", results]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # each names a file that was skipped
        load_results(results)
    return [called(*command)[0] for command in commands]


KINDS = ["runs", "duels", "gates", "studies", "times", "bisections"]
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
        document = damaged(document, place, data.draw(VALUE))
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
