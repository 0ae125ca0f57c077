"""The command that measures a benchmark of a gate again carries all that the gate's pairs depended on."""

import shlex

import msgspec
from support.made_gates import BASE, HEAD, made_benchmark, made_gate

from harness.cli.duel import command as duel
from harness.gate.suite import Benchmark
from harness.report.gate_advice import duel_command

ASKED = Benchmark(
    name="cnn",
    backend="torch:eager",
    task="cnn",
    batch_size=50,
    precision="bfloat16",
    seed=3,
    options={"flip": True, "width": 0.5},
)


def test_it_is_the_same_work_in_the_same_environments():
    benchmark = made_benchmark("cnn", mode="eager", asked=ASKED)
    base = msgspec.structs.replace(BASE, variables={"PYTHONPATH": ""})
    command = ["gate", "--base-python", "b", "--turns", "4", "--plugin", "my task.py", "--plugin=other.py"]
    words = shlex.split(duel_command(made_gate(benchmark, base=base, command=command), benchmark))
    assert words[:4] == [HEAD.python, "-m", "harness", "duel"]
    given = duel.make_context("duel", words[4:], resilient_parsing=True).params
    expected = {
        "task": "cnn",
        "dataset": "digits",
        "threads": 2,
        "batch_size": [50],
        "precision": "bfloat16",
        "seed": 3,
        "turns": 4,
        "certify": False,
        "assignments": ("flip=true", "width=0.5"),
    }
    assert {name: given[name] for name in expected} == expected
    rest = " ".join(words)
    assert f"--a-python {BASE.python} --a-env PYTHONPATH= --b-python {HEAD.python}" in rest
    assert "--plugin my task.py --plugin other.py" in rest


def test_what_the_gate_was_not_given_is_left_to_the_duel():
    benchmark = made_benchmark("cnn", mode="eager", asked=Benchmark(name="cnn", backend="torch", task="cnn"))
    text = duel_command(made_gate(benchmark), benchmark)
    assert all(
        option not in text for option in ("--turns", "--plugin", "--seed", "--batch-size", "-env", "--set")
    )
