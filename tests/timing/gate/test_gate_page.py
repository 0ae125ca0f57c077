"""Gates in words: verdicts, reasons with their figures, cautions, and what to do about a failure."""

import shlex
import sys

import msgspec
import pytest
from support.gate_formats import crashed, failed_quality, hostile_gate, interrupted_gate, invalid_benchmark
from support.made_gates import BASE, HEAD, OTHER_LOSS, failed, made_benchmark, made_gate, mixed_gate
from support.outline import outline

from harness.core.documents.render.terminal import terminal_text
from harness.core.shell.main import cli
from harness.timing.engine import asked
from harness.timing.environments.suite import Benchmark
from harness.timing.gate.advice import advice
from harness.timing.gate.circumstances import cautions, conditions, details
from harness.timing.gate.page import gate_document, measurements_table
from harness.timing.gate.reasons import Reason
from harness.timing.gate.record import QualityResult, SeedScores
from harness.timing.gate.words import headline, metric_text, quality_word, why

SLOWER = made_benchmark(step=1.08, confirmed=8, verdicts={"step": "FAIL"})


def replaced(benchmark, **changes):
    return msgspec.structs.replace(benchmark, **changes)


def test_headlines(snapshot):
    record = mixed_gate()
    record.benchmarks.append(invalid_benchmark("noisy"))
    gates = {
        "passed": made_gate(made_benchmark()),
        "both passed": made_gate(made_benchmark(), made_benchmark("mlp")),
        "of every verdict": record,
        "killed": made_gate(made_benchmark(), verdict="INVALID", status="running"),
        "interrupted": interrupted_gate(),
        "empty": made_gate(),
    }
    assert {name: headline(gate) for name, gate in gates.items()} == snapshot


def test_a_gate_without_failures_has_no_explanations():
    for record in (made_gate(), made_gate(made_benchmark()), interrupted_gate()):
        assert "Reasons and next steps" not in outline(gate_document(record))


def test_circumstances_count_one_thread_and_name_only_an_unusual_end():
    assert ", 1 thread, " in conditions(made_benchmark(threads=1))
    assert "status" not in details(made_gate())
    ended = details(made_gate(status="interrupted", failure="by the user"))
    assert ended["status"] == "interrupted by the user"


@pytest.mark.parametrize("width", [60, 100, 200])
def test_the_table_fits_the_terminal(width):
    for record in (mixed_gate(), hostile_gate()):
        text = terminal_text(gate_document(record), width)
        assert "\x1b" not in text
        table = text.split("\n\n")[1]
        assert max(map(len, table.splitlines())) <= max(width, 100)


def test_reasons_stand_with_their_figures(snapshot):
    """The effective number of pairs is stated where outliers cost many."""
    step = SLOWER.metrics[0]
    crash = failed("crashed")
    lost = Reason(kind="undecided", text="accuracy lost 1 %", hint="Train on more seeds.")
    quality = QualityResult(verdict="INCONCLUSIVE", reasons=[lost], worst=0.0)
    unsure = made_benchmark(verdict="INCONCLUSIVE", quality=quality)
    assert [why(SLOWER), why(replaced(SLOWER, reasons=[crash]))] == snapshot
    assert [metric_text(replaced(step, weight=weight)) for weight in (None, 7.5, 6.1)] == snapshot
    assert [why(unsure), advice(made_gate(unsure), unsure).text] == snapshot


SEEDS = [SeedScores(seed=0, base=0.5, head=0.4)]


@pytest.mark.parametrize(
    ("quality", "word"),
    [
        (None, "–"),
        (QualityResult(verdict="PASS", worst=0.0), "same"),
        (QualityResult(verdict="PASS", seeds=SEEDS), "no worse"),
        (QualityResult(verdict="FAIL", worst=0.1), "different"),
        (QualityResult(verdict="FAIL", seeds=SEEDS), "worse"),
        (QualityResult(verdict="INCONCLUSIVE", seeds=SEEDS), "undecided"),
        (QualityResult(verdict="INVALID", seeds=SEEDS), "not comparable"),
    ],
)
def test_quality_is_called_worse_only_where_both_were_trained(quality, word):
    assert quality_word(made_benchmark(quality=quality)) == word


def cautioned():
    """Gates of which a reader must know something, by what it is."""
    plain = made_benchmark("cnn")
    base, head = plain.configurations
    older = replaced(base, framework={"engine": "torch", "torch": "2.8.0"})
    memory = Reason(kind="note", text="memory ran out in float64")
    out_of_memory = QualityResult(verdict="PASS", reasons=[memory])
    of_versions = QualityResult(verdict="FAIL", frameworks=[older.framework, head.framework])
    untimed = {"configurations": [], "metrics": [], "verdict": "FAIL", "quality": of_versions}
    stand_in = replaced(plain.dataset, stands_in_for="cifar10", reason="no internet")
    shared = "PYTHONPATH=src applies to base and head: its code is the same for both"
    return {
        "same commit": made_gate(plain, base=HEAD),
        "same interpreter": made_gate(plain, base=replaced(BASE, commit=None, python=HEAD.python)),
        "versions": made_gate(replaced(plain, configurations=[older, head])),
        "versions, not timed": made_gate(replaced(plain, **untimed)),
        "memory": made_gate(replaced(plain, quality=out_of_memory)),
        "stand-in": made_gate(replaced(plain, dataset=stand_in)),
        "batch sizes": made_gate(replaced(plain, configurations=[base, replaced(head, batch_size=128)])),
        "environment": made_gate(plain, base=replaced(BASE, cautions=[shared])),
    }


def test_cautions(snapshot):
    found = {name: cautions(gate) for name, gate in cautioned().items()}
    assert {name: len(each) for name, each in found.items()} == dict.fromkeys(found, 1)
    assert found == snapshot
    variables = replaced(BASE, python=HEAD.python, commit=None, variables={"A": "1"})
    for base in (BASE, variables):
        assert cautions(made_gate(made_benchmark("cnn"), base=base)) == []


def test_the_step_times_agree_with_their_change():
    """Medians over processes have the drift in them that the change, taken turn by turn, leaves out."""
    benchmark = made_benchmark("cnn", step=1.2)
    step, *others = benchmark.metrics
    drifted = replaced(step, head=step.base)  # as if nothing had changed
    table = measurements_table(made_gate(replaced(benchmark, metrics=[drifted, *others])))
    base, head = (float(cell) for cell in table.rows[0][2:4])
    assert head / base == pytest.approx(step.ratio.value, rel=0.01)


def test_a_benchmark_without_metrics_does_not_order_the_columns():
    """Its work differs, so that nothing was timed."""
    different = replaced(made_benchmark("cnn"), metrics=[], quality=QualityResult(verdict="FAIL", worst=0.1))
    alone, both = (
        measurements_table(made_gate(*benchmarks))
        for benchmarks in ([made_benchmark("mlp")], [different, made_benchmark("mlp")])
    )
    assert both.headers == alone.headers


# What a gate advises for a benchmark that did not pass.


#: The suite asks for neither the batch size of a full-batch task nor the device that ``auto`` resolved to.
ASKED = Benchmark(
    name="cnn",
    backend="torch",
    task="cnn",
    batch_size=32,
    device="cpu",
    precision="bfloat16",
    seed=3,
    options={"dropout": 0.5, "flip": True},
)


def parsed(command):
    """The interpreter of an advised command, and the options that the command line takes."""
    python, _, harness, name, *arguments = shlex.split(command)
    assert harness == "harness"
    return python, name, cli.get_command(None, name).make_context(name, arguments).params


def test_the_advised_duel_has_the_conditions_of_the_gate(tmp_path):
    benchmark = replaced(SLOWER, asked=ASKED)
    linked = tmp_path / "python"
    linked.symlink_to(sys.executable)
    base = replaced(BASE, python=sys.executable, variables={"PYTHONPATH": ""})
    head = replaced(HEAD, python=str(linked), variables={"NAME": "a b"})
    called = ["gate", "--base-python", "b", "--turns", "4"]
    text, command = advice(made_gate(benchmark, base=base, head=head, command=called), benchmark)
    assert "max_slowdown" in text
    python, name, given = parsed(command)
    assert (python, name) == (str(linked), "duel")
    expected = {
        "certify": False,
        "task": "cnn",
        "dataset": "digits",
        "threads": 2,
        "batch_size": [32],
        "precision": "bfloat16",
        "device": "cpu",
        "seed": 3,
        "turns": 4,
        "assignments": ("dropout=0.5", "flip=true"),  # not width, which is a default
    }
    assert given == {**given, **expected}
    assert [asked.parsed(text) for text in given["texts"]] == [
        asked.Asked(name="torch:eager", python=sys.executable, variables={"PYTHONPATH": ""}),
        asked.Asked(name="torch:eager", python=str(linked), variables={"NAME": "a b"}),
    ]


def test_what_the_gate_was_not_given_is_left_to_the_duel():
    benchmark = replaced(SLOWER, asked=Benchmark(name="cnn", backend="torch", task="cnn"))
    command = advice(made_gate(benchmark), benchmark).command
    for option in ("--turns", "--plugin", "--seed", "--batch-size", " env.", "--set"):
        assert option not in command


@pytest.mark.parametrize(("label", "environment"), [("head", HEAD), ("base", BASE)])
def test_a_crashed_side_is_advised_to_run_alone_as_the_gate_ran_it(label, environment):
    benchmark = crashed(label, asked=ASKED, configurations=[])
    side = replaced(environment, variables={"CRASHES": "a b"})
    text, command = advice(made_gate(benchmark, **{label: side}), benchmark)
    assert label in text
    variables, assigned, *words = shlex.split(command)
    assert (variables, assigned) == ("env", "CRASHES=a b")
    python, name, given = parsed(shlex.join(words))
    assert (python, name) == (environment.python, "run")
    assert given["certify"] is False
    options = "--dataset digits --threads 2 --precision bfloat16 --batch-size 32 --device cpu --seed 3"
    assert options in command


@pytest.mark.parametrize("given", [["--plugin", "my plugin.py"], ["--plugin=my plugin.py"]])
def test_advised_commands_have_the_plugin_files_of_the_gate(given):
    for benchmark in (SLOWER, crashed(), failed_quality(OTHER_LOSS)):
        record = made_gate(benchmark, command=["gate", "--base", "main", *given])
        assert advice(record, benchmark).command.endswith("--plugin 'my plugin.py'")
        assert "--plugin" not in advice(made_gate(benchmark), benchmark).command


@pytest.mark.parametrize(
    ("failing", "command"),
    [
        (failed_quality(OTHER_LOSS), "-m harness check"),
        (replaced(failed_quality(OTHER_LOSS), has_reference=False), "-m harness run"),
        (failed_quality(Reason(kind="other data", text="other data", hint="Use a base with it.")), None),
    ],
)
def test_a_check_is_advised_only_where_it_can_find_the_cause(failing, command):
    advised = advice(made_gate(failing), failing).command
    assert command in advised if command else advised == ""


def test_the_headline_of_a_gate_is_a_verdict_with_its_tone():
    ((verdict, text),) = gate_document(mixed_gate()).headline
    assert (verdict.text, verdict.tone) == ("FAIL", "bad")
    assert text.startswith(": ")
