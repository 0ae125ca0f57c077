"""Gates against a stored baseline: real processes of a backend whose pace and losses are known."""

import json
import re
import sys
from pathlib import Path

import msgspec
import pytest

from harness.gate import alone, baseline
from harness.gate.baseline import SCHEMA, BaselineRecord, StoredBenchmark
from harness.gate.environments import Environment
from harness.gate.learner import Maths
from harness.gate.record import GateRecord
from harness.gate.remembered import judge
from harness.gate.stored import Alone, StoredGate
from harness.gate.suite import Limits, read_suite
from harness.report.gate_advice import what_next
from harness.runs.documents import read_document
from harness.runs.record import DatasetRecord

#: A step that sleeps does not follow the machine's pace as the fixed work does: on a busy machine the two
#: part by a tenth and more, which is not what is tried here. What a limit of a few percent decides is tried
#: on given times below.
PACED = """[benchmarks.{0}]
backend = "paced"
task = "mlp"
max_slowdown = "100%"
max_first_step_slowdown = "100%"
"""
ONE = PACED.format("paced")
INCONCLUSIVE = 3
PLACE = "results/baselines/main.json"
#: The fixed work is timed now and then: what runs beside one and not beside the other would show.
pytestmark = pytest.mark.all_cpus


def gate(harness, *arguments, suite=ONE):
    (harness.folder / "gate.toml").write_text(suite)
    return harness("gate", "--turns", "2", "--format", "json", *arguments)


@pytest.fixture(scope="module")
def stored(tmp_path_factory, harness_in):
    harness = harness_in(tmp_path_factory.mktemp("baseline"))
    done = gate(harness, "--save-baseline", PLACE)
    assert (done.returncode, done.stdout) == (0, f'{{"baseline":"{PLACE}"}}\n'), done.stderr
    return harness


def gate_on_the_same_machine(stored, *arguments):
    """A gate against the baseline; where noise leaves it undecided, baseline and all anew.

    Noise may never decide one wrongly, so that is not tried again.
    """
    for _ in range(4):
        done = gate(stored, "--baseline", PLACE, *arguments)
        if done.returncode != INCONCLUSIVE:
            break
        gate(stored, "--save-baseline", PLACE)
    return done


def changed(stored, change):
    """Another baseline, of which ``change`` has altered something."""
    document = json.loads((stored.folder / PLACE).read_text())
    change(document)
    path = stored.folder / "changed.json"
    path.write_text(json.dumps(document))
    return str(path)


def test_unchanged_code_passes_and_is_said_to_be_held_the_weaker_way(stored):
    done = gate_on_the_same_machine(stored)
    assert done.returncode == 0, done.stdout
    record = json.loads(done.stdout)
    assert (record["verdict"], record["against"]) == ("PASS", "stored baseline")
    (benchmark,) = record["benchmarks"]
    assert {one["metric"]: one["verdict"] for one in benchmark["metrics"]} == {
        "step": "PASS",
        "first step": "PASS",
        "memory": "PASS",
    }
    assert all(one["unpaired"] for one in benchmark["metrics"])
    shown = stored("show", record["id"])
    assert "weaker way" in " ".join(shown.stdout.split())


def test_a_slower_head_fails(stored):
    done = gate_on_the_same_machine(stored, "--head-env", "PACED_FACTOR=6")
    assert done.returncode == 1, done.stdout
    (benchmark,) = json.loads(done.stdout)["benchmarks"]
    step = benchmark["metrics"][0]
    assert step["verdict"] == "FAIL"
    assert 4 < step["ratio"] < 9  # the fixed work may have moved, and a sleep is long on a busy machine


def test_other_maths_fail(stored):
    done = gate(stored, "--baseline", PLACE, "--head-env", "PACED_LOSS=1.0001")
    assert done.returncode == 1, done.stderr
    (benchmark,) = json.loads(done.stdout)["benchmarks"]
    assert "other maths" in benchmark["reason"]


def at_pace(pair, slower):
    """The same process, where a block took 0.1 s and the fixed work so many times 1 ms."""
    blocks = [
        msgspec.structs.replace(block, seconds=0.1, control_seconds=0.001 * slower) for block in pair.blocks
    ]
    return msgspec.structs.replace(pair, blocks=blocks)


def test_pauses_that_the_middle_of_the_blocks_does_not_show_do_not_pass(stored):
    (base,) = read_document(stored.folder / PLACE, BaselineRecord, "baseline", SCHEMA).benchmarks

    def of_ten_blocks(pair):
        (first, *_) = at_pace(pair, 1.0).blocks
        blocks = [msgspec.structs.replace(first, turn=turn, disturbed=False) for turn in range(10)]
        return msgspec.structs.replace(pair, blocks=blocks)

    base = msgspec.structs.replace(base, processes=list(map(of_ten_blocks, base.processes)))

    def paused(pair, seconds, *, disturbed=False):
        first, *others = pair.blocks
        longer = msgspec.structs.replace(first, seconds=seconds, disturbed=disturbed)
        return msgspec.structs.replace(pair, blocks=[longer, *others])

    def step(*processes):
        head = msgspec.structs.replace(base, processes=list(processes))
        return judge(base, head, Limits(), 0.01)[0]

    assert step(*base.processes).verdict == "PASS"
    found = step(*(paused(pair, 0.3) for pair in base.processes))
    assert (found.verdict, found.unsound, found.ratio) == ("INCONCLUSIVE", True, pytest.approx(1.0))
    assert "head takes 20% more" in found.reason
    assert step(*(paused(pair, 0.3, disturbed=True) for pair in base.processes)).verdict == "PASS"
    hiccup, *others = base.processes
    assert step(paused(hiccup, 3.0), *others).verdict == "PASS"


def test_a_control_that_moved_is_never_green(stored):
    (base,) = read_document(stored.folder / PLACE, BaselineRecord, "baseline", SCHEMA).benchmarks

    def on_a_machine(slower):
        return msgspec.structs.replace(base, processes=[at_pace(pair, slower) for pair in base.processes])

    def verdicts(head):
        found = judge(on_a_machine(1.0), head, Limits(), 0.001)
        return {one.metric: one.verdict for one in found}

    assert verdicts(on_a_machine(1.0)) == {"step": "PASS", "first step": "PASS", "memory": "PASS"}
    for slower in (0.5, 2.0):
        found = verdicts(on_a_machine(slower))
        assert found == {"step": "INCONCLUSIVE", "first step": "INCONCLUSIVE", "memory": "PASS"}


def disturbed(pair):
    return msgspec.structs.replace(
        pair, blocks=[msgspec.structs.replace(block, disturbed=True) for block in pair.blocks]
    )


def with_memory(of, device):
    """The same, where its processes tell of so many bytes on a device each, and of 100 on the host."""
    processes = [
        msgspec.structs.replace(
            pair,
            processes=[
                msgspec.structs.replace(
                    pair.processes[0], device_peak_memory_bytes=on_it, peak_memory_bytes=100
                )
            ],
        )
        for pair, on_it in zip(of.processes, device, strict=True)
    ]
    return msgspec.structs.replace(of, processes=processes)


@pytest.mark.parametrize(("device", "ratio"), [([50] * 10, 2.0), ([50] * 9 + [None], 1.0)])
def test_memory_of_a_device_is_not_held_against_that_of_the_host(stored, device, ratio):
    (base,) = read_document(stored.folder / PLACE, BaselineRecord, "baseline", SCHEMA).benchmarks
    found = judge(with_memory(base, device), with_memory(base, [100] * 10), Limits(), 0.001)
    (memory,) = (one for one in found if one.metric == "memory")
    assert memory.ratio == pytest.approx(ratio)


def test_disturbed_processes_are_no_evidence(stored):
    (base,) = read_document(stored.folder / PLACE, BaselineRecord, "baseline", SCHEMA).benchmarks
    base = msgspec.structs.replace(base, processes=[at_pace(pair, 1.0) for pair in base.processes])
    head = msgspec.structs.replace(base, processes=list(map(disturbed, base.processes)))
    found = {one.metric: one for one in judge(base, head, Limits(), 0.001)}
    assert (found["step"].verdict, found["step"].unsound) == ("INCONCLUSIVE", True)
    assert "10 of head's 10 processes were disturbed" in found["step"].reason


def test_a_benchmark_that_the_baseline_lacks_is_inconclusive_and_one_that_vanished_fails(stored):
    done = gate(stored, "--baseline", PLACE, suite=PACED.format("new"))
    assert done.returncode == 1, done.stderr
    verdicts = {one["name"]: one["verdict"] for one in json.loads(done.stdout)["benchmarks"]}
    assert verdicts == {"new": "INCONCLUSIVE", "paced": "FAIL"}


def other_threads(document):
    document["benchmarks"][0]["plan"]["threads"] = 7


def asked_otherwise(name, value):
    def change(document):
        document["benchmarks"][0]["asked"][name] = value

    return change


def other_bytes(document):
    document["benchmarks"][0]["dataset"]["fingerprint"] = "7"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (other_threads, "threads 7"),
        (asked_otherwise("seed", 7), "seed 7"),
        (asked_otherwise("batch_size", 7), "batch size 7"),
        (asked_otherwise("epochs", 7), "epochs 7"),
        (asked_otherwise("set", {"width": 2}), "options {'width': 2}"),
        (other_bytes, "data 7"),
    ],
)
def test_a_baseline_of_other_work_is_no_baseline(stored, change, told):
    """Nor is what a head that is not to blame computes held against it."""
    done = gate(stored, "--baseline", changed(stored, change))
    assert done.returncode == 3, done.stderr
    (benchmark,) = json.loads(done.stdout)["benchmarks"]
    assert f"the baseline is of {told}, and head's is" in benchmark["reason"]
    record = msgspec.json.decode(done.stdout, type=GateRecord)
    assert "make the baseline anew" in what_next(record, record.benchmarks[0])


def longer(document):
    document["benchmarks"][0]["plan"]["task"]["epochs"] += 1


def test_a_task_that_was_another_then_fails(stored):
    done = gate(stored, "--baseline", changed(stored, longer))
    assert done.returncode == 1, done.stderr
    (benchmark,) = json.loads(done.stdout)["benchmarks"]
    assert "head's task is another (in epochs)" in benchmark["reason"]


def endless(document):
    for process in document["benchmarks"][0]["processes"]:
        process["blocks"] = [block | {"steps": 10**9} for block in process["blocks"]]


def test_a_head_that_would_take_hours_is_told_at_once(stored):
    done = gate(stored, "--baseline", changed(stored, endless))
    assert done.returncode == 1, done.stderr
    (benchmark,) = json.loads(done.stdout)["benchmarks"]
    assert re.search(
        r"a process of 2 blocks of \d+ steps would take \d+ s, and may take 1800", benchmark["reason"]
    )


class Unheard:
    def phase(self, *_):
        pass

    judged = phase


def test_head_is_timed_in_blocks_like_the_baselines(stored, monkeypatch, tmp_path):
    """A block's own cost weighs more the shorter it is; with one of other steps it would pass for head's."""

    def longer(document):
        for process in document["benchmarks"][0]["processes"]:
            process["blocks"] = [block | {"steps": 12} for block in process["blocks"]]

    measured = []
    pair = alone.Alternation.pair
    monkeypatch.setattr(
        alone.Alternation, "pair", lambda *given: measured.append(pair(*given)) or measured[-1]
    )
    monkeypatch.setattr(alone, "PROCESSES", 3)
    variables = {name: stored.environment[name] for name in ("PYTHONPATH", "HARNESS_DATA_DIR")}
    suite = tmp_path / "gate.toml"
    suite.write_text(ONE)
    request = Alone(
        suite=read_suite(suite),
        head=Environment(label="head", python=sys.executable, variables=variables),
        datasets=[DatasetRecord("mnist1d")],
        turns=None,
    )
    theirs = read_document(Path(changed(stored, longer)), BaselineRecord, "baseline", SCHEMA)
    StoredGate(request, theirs, tmp_path, Unheard()).carry_out()
    assert [len(one.blocks) for one in measured] == [2] * 3
    assert {block.steps for one in measured for block in one.blocks} == {12}


def another_gpu(document):
    document["benchmarks"][0]["side"]["device"] = "cuda:0 (Another)"


def test_a_baseline_of_another_device_is_no_baseline(stored):
    done = gate(stored, "--baseline", changed(stored, another_gpu), "--inconclusive", "pass")
    assert done.returncode == 3, done.stderr
    (benchmark,) = json.loads(done.stdout)["benchmarks"]
    assert "device cuda:0 (Another)" in benchmark["reason"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--baseline", PLACE, "--budget", "60"),
        ("--save-baseline", PLACE, "--to", "junit.xml"),
    ],
)
def test_what_has_no_bearing_on_a_baseline_is_refused(stored, arguments):
    done = gate(stored, *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert "out" in done.stderr.split()[-1]


def other_machine(document):
    document["machine"]["cpu"] = "Z80"


def other_numpy(document):
    document["control"] = "NumPy 1.0 with abacus"


def later_schema(document):
    document["schema"] = 99


def nothing_in_it(document):
    document["benchmarks"] = []


def no_processes(document):
    document["benchmarks"][0]["processes"] = []


def no_blocks(document):
    document["benchmarks"][0]["processes"][0]["blocks"] = []


def other_turns(document):
    document["benchmarks"][0]["turns"] = 10**9


def unlike_blocks(document):
    document["benchmarks"][0]["processes"][1]["blocks"][1]["steps"] += 1


def no_time(document):
    document["benchmarks"][0]["processes"][0]["blocks"][0]["control_seconds"] = 0


def no_memory(document):
    document["benchmarks"][0]["processes"][0]["processes"][0]["peak_memory_bytes"] = 0


def no_batch(document):
    document["benchmarks"][0]["side"]["batch_size"] = 0


def another_side(document):
    document["benchmarks"][0]["processes"][0]["blocks"][0]["side"] = 1


def test_a_baseline_without_the_memory_for_float64_is_whole(stored):
    (one,) = read_document(stored.folder / PLACE, BaselineRecord, "baseline", SCHEMA).benchmarks
    lost = Maths("float64", [], {}, memory_ran_out=True)
    kept = msgspec.json.encode(msgspec.structs.replace(one, maths=[lost, one.maths[-1]]))
    again = msgspec.json.decode(kept, type=StoredBenchmark)
    assert again.maths[0] == lost
    assert baseline._lacking(again) == ""
    assert baseline._lacking(msgspec.structs.replace(one, maths=[lost])) == "no losses of paced"


def no_losses(document):
    document["benchmarks"][0]["maths"] = []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (no_blocks, "holds a process without blocks of paced"),
        (other_turns, "holds a process with other turns than the 1000000000 of paced"),
        (unlike_blocks, "holds blocks of unlike length of paced"),
        (no_time, "holds times not above 0 of paced"),
        (no_memory, "holds impossible times or memory of paced"),
        (no_batch, "holds no batch size of paced"),
        (another_side, "holds blocks of no process of paced"),
        (no_losses, "holds no losses of paced"),
        (other_machine, "made on another machine: cpu Z80 then"),
        (other_numpy, "a matrix product of NumPy 1.0 with abacus, and here it is one of NumPy "),
        (later_schema, "is newer than"),
        (nothing_in_it, "holds no benchmark"),
        (no_processes, "holds too few processes of paced"),
        (dict.clear, "not a readable baseline record"),
    ],
)
def test_a_baseline_that_cannot_serve_is_refused(stored, change, words):
    done = gate(stored, "--baseline", changed(stored, change))
    assert done.returncode == 2
    assert words in done.stderr
    assert len(done.stderr.splitlines()) <= 2


def test_a_place_that_cannot_be_written_is_found_before_anything_is_measured(stored):
    (stored.folder / "a-file").touch()
    done = gate(stored, "--save-baseline", "a-file/main.json")
    assert done.returncode == 2
    assert "a-file/main.json cannot be written" in done.stderr
    assert "first losses" not in done.stderr


def test_a_baseline_that_is_not_there_is_told(stored):
    done = gate(stored, "--baseline", "results/baselines/nowhere.json")
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
    assert "results/baselines/nowhere.json" in done.stderr


@pytest.mark.parametrize(
    "arguments", [(), ("--base", "main", "--baseline", PLACE), ("--baseline", PLACE, "--base-env", "A=1")]
)
def test_one_base_is_wanted(stored, arguments):
    done = gate(stored, *arguments)
    assert done.returncode == 2
    assert "what is head held against" in done.stderr or "leave --base-env out" in done.stderr
