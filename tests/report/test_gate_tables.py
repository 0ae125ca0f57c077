"""A gate's tables do not contradict themselves."""

import msgspec
import pytest
from support.made_gates import made_benchmark, made_gate

from harness.report.gate import measurements_table


def test_the_step_times_agree_with_their_change():
    """Medians over processes have the drift in them that the change, taken turn by turn, leaves out."""
    benchmark = made_benchmark("cnn", step=1.2)
    step, *others = benchmark.metrics
    drifted = msgspec.structs.replace(step, head=step.base)  # as if nothing had changed
    table = measurements_table(made_gate(msgspec.structs.replace(benchmark, metrics=[drifted, *others])))
    base, head = (float(cell) for cell in table.rows[0][2:4])
    assert head / base == pytest.approx(step.ratio.value, rel=0.01)
