"""What a gate advises for a benchmark that did not pass, and the commands for it."""

import re
import shlex
import sys
from typing import Literal, get_args

import msgspec
import pytest
from support.gate_formats import crashed, failed_quality
from support.made_gates import BASE, HEAD, OTHER_LOSS, made_benchmark, made_gate, mixed_gate

from harness.cli import cli
from harness.gate import reasons
from harness.gate.record import QualityResult
from harness.gate.suite import Benchmark
from harness.plugins.options import Value
from harness.report.gate import why
from harness.report.gate_advice import Advice, advice
from harness.spec.backend import Precision
from harness.stats.estimate import Estimate
from harness.steps.findings import ValueDiffers, WorkComparison


def test_every_kind_of_reason_has_a_text_and_advice():
    """A made-up reason of each kind, as a benchmark's only one."""
    values = {
        str: "text", int: 3, float: 0.5, bool: False, float | None: None, Literal["base", "head"]: "head",
        Precision: "float32", list[Precision]: ["float32"], list[str]: ["epochs"],
        dict[str, tuple[Value, Value]]: {"width": (1, 2)},
        ValueDiffers: ValueDiffers(call=3, is_state=False, name="", base=0.5, head=0.6, deviation=0.2),
        WorkComparison: WorkComparison(outcome="not returned"),
        Estimate: Estimate(0.02, 0.01, 0.03, 5),
    }  # fmt: skip
    kinds = [kind for group in get_args(reasons.Reason) for kind in get_args(group) or [group]]
    assert len(kinds) > 30
    for kind in kinds:
        reason = kind(**{field.name: values[field.type] for field in msgspec.structs.fields(kind)})
        benchmark = made_benchmark(verdict="FAIL", metrics=[], quality=None, reasons=[reason])
        assert re.fullmatch(r"[^\n]*[^\n.]", why(benchmark))
        assert advice(made_gate(benchmark), benchmark).text.endswith((".", ":"))


@pytest.mark.parametrize(
    "reason", [reasons.TaskChanged(fields=["epochs"]), reasons.OtherData(base="a" * 64, head="b" * 64)]
)
def test_no_check_is_advised_for_another_task_or_other_data(reason):
    benchmark = failed_quality(reason)
    text, command = advice(made_gate(benchmark), benchmark)
    assert text.startswith("If this is intended")
    assert command == ""


@pytest.mark.parametrize(
    ("threads", "device", "advised"), [(2, "cpu", True), (1, "cpu", False), (2, "cuda:0", False)]
)
def test_one_thread_is_advised_where_threads_may_have_waited_for_each_other(threads, device, advised):
    undecided = mixed_gate().benchmarks[2]
    configurations = [msgspec.structs.replace(each, device=device) for each in undecided.configurations]
    benchmark = msgspec.structs.replace(undecided, configurations=configurations, threads=threads)
    assert ("threads = 1" in advice(made_gate(benchmark), benchmark).text) == advised


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


def test_the_advised_duel_has_the_conditions_of_the_gate(tmp_path):
    benchmark = made_benchmark(step=1.08, confirmed=8, verdicts={"step": "FAIL"}, asked=ASKED)
    linked = tmp_path / "python"
    linked.symlink_to(sys.executable)
    base = msgspec.structs.replace(BASE, python=sys.executable, variables={"PYTHONPATH": ""})
    head = msgspec.structs.replace(HEAD, python=str(linked), variables={"NAME": "a b"})
    called = ["gate", "--base-python", "b", "--turns", "4"]
    text, command = advice(made_gate(benchmark, base=base, head=head, command=called), benchmark)
    assert text == "If intended, raise max_slowdown. To measure the benchmark again:"
    python, _, harness, name, *arguments = shlex.split(command)
    assert (python, harness, name) == (str(linked), "harness", "duel")
    given = cli.get_command(None, name).make_context(name, arguments).params
    expected = {
        "names": ("torch:eager", "torch:eager"),
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
        "a_python": sys.executable,
        "a_env": {"PYTHONPATH": ""},
        "b_python": str(linked),
        "b_env": {"NAME": "a b"},
    }
    assert given == {**given, **expected}


def test_what_the_gate_was_not_given_is_left_to_the_duel():
    asked = Benchmark(name="cnn", backend="torch", task="cnn")
    benchmark = made_benchmark(step=1.08, confirmed=8, verdicts={"step": "FAIL"}, asked=asked)
    command = advice(made_gate(benchmark), benchmark).command
    for option in ("--turns", "--plugin", "--seed", "--batch-size", "-env", "--set"):
        assert option not in command


def test_a_crashed_head_is_advised_to_run_alone_as_the_gate_ran_it():
    benchmark = crashed(asked=ASKED, configurations=[])
    head = msgspec.structs.replace(HEAD, variables={"CRASHES": "a b"})
    alone = "-m harness run --backend torch:eager --task cnn --no-certify"
    options = "--dataset digits --threads 2 --precision bfloat16 --batch-size 32 --device cpu --seed 3"
    command = f"env 'CRASHES=a b' {HEAD.python} {alone} {options} --set dropout=0.5 --set flip=true"
    assert advice(made_gate(benchmark, head=head), benchmark) == Advice("To run head alone:", command)


def test_a_crashed_base_is_advised_to_run_alone():
    text, command = advice(made_gate(crashed("base")), crashed("base"))
    assert text == "To run base alone:"
    assert command.startswith(f"{BASE.python} -m harness run --backend torch:eager --task cnn")


@pytest.mark.parametrize("given", [["--plugin", "my plugin.py"], ["--plugin=my plugin.py"]])
def test_advised_commands_have_the_plugin_files_of_the_gate(given):
    slower = made_benchmark(step=1.08, confirmed=8, verdicts={"step": "FAIL"})
    for benchmark in (slower, crashed(), failed_quality(OTHER_LOSS)):
        record = made_gate(benchmark, command=["gate", "--base", "main", *given])
        assert advice(record, benchmark).command.endswith("--plugin 'my plugin.py'")
        assert "--plugin" not in advice(made_gate(benchmark), benchmark).command


def test_more_seeds_are_advised_where_they_were_too_few():
    lost = reasons.ScoreLost(measure="accuracy", lost=Estimate(0.01, -0.01, 0.03, 5), limit=0.01)
    quality = QualityResult(verdict="INCONCLUSIVE", reasons=[lost], worst=0.0)
    benchmark = made_benchmark("cnn", verdict="INCONCLUSIVE", quality=quality)
    assert "more seeds for this benchmark" in advice(made_gate(benchmark), benchmark).text
    assert "accuracy lost 1.00 [−1.00, 3.00] %, limit 1 % (5 seeds)" in why(benchmark)


def test_a_task_without_reference_is_not_to_be_checked():
    with_reference = failed_quality(OTHER_LOSS)
    without = msgspec.structs.replace(with_reference, has_reference=False)
    assert "-m harness check" in advice(made_gate(with_reference), with_reference).command
    text, command = advice(made_gate(without), without)
    assert text.endswith("To train head alone:")
    assert "-m harness run" in command
