"""``harness show`` of gates: by id, by path, from a folder of any name; and errors for other names."""

import json
import subprocess
import sys

import pytest
from support.command import stored
from support.made_gates import made_benchmark, made_gate, mixed_gate, save
from support.records import make_record

from harness.runs.documents import encode_document


@pytest.fixture
def work(harness):
    save(harness.folder, mixed_gate(), made_gate(made_benchmark(), number=1))
    return harness


def test_a_gate_is_shown_by_any_of_its_names(work):
    name = mixed_gate().id
    stored_at = f"results/gates/{name}.json"
    (work.folder / "artefacts").mkdir()
    (work.folder / "artefacts" / "gate.json").write_bytes((work.folder / stored_at).read_bytes())
    for given in ("20260101-1200", name, stored_at, "artefacts/gate.json"):
        done = work("show", given)
        assert (done.returncode, done.stderr) == (0, "")
        path, verdict = [line for line in done.stdout.splitlines() if line][:2]
        assert path.endswith(".json")
        assert verdict.startswith("FAIL: 3 of 5 benchmarks failed (rnn-compiled, gan, forecast)")


def test_a_terminal_that_lacks_a_sign_is_shown_another(work):
    done = work("show", mixed_gate().id, PYTHONIOENCODING="latin-1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "? 5" in done.stdout  # for "≤ 5 %", the limit


def test_json_is_the_gate_as_it_is_stored(work):
    record = mixed_gate()
    done = work("show", record.id, "--format", "json")
    assert json.loads(done.stdout) == stored(work.folder / "results" / "gates" / f"{record.id}.json")


def test_a_name_that_fits_nothing_is_answered_with_what_is_there(work):
    done = work("show", "20260102-1300")
    assert done.returncode == 2
    assert "unknown record '20260102-1300'. List the records with: harness list results" in done.stderr


def test_runs_are_still_found_beside_gates(work):
    runs = work.folder / "results" / "runs"
    runs.mkdir()
    record = make_record()
    (runs / f"{record.id}.json").write_bytes(encode_document(record))
    assert "cnn" in work("show", "last").stdout
    assert work("show", record.id[:20]).returncode == 0
    assert work("show", f"results/runs/{record.id}.json").returncode == 0


def test_showing_a_gate_needs_no_numpy(work):
    code = (
        "import sys; from harness.cli.show import command; "
        f"command([{mixed_gate().id!r}], standalone_mode=False); "
        "print([name for name in ('numpy', 'scipy', 'pandas', 'altair') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=work.folder, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1] == "[]"
