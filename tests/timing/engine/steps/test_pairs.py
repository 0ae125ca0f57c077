"""Equal and other mathematics in each framework: no equal pair is accused, and no other one passes unseen.

All bases run in one process and all heads in another, so that a framework is imported few times. XLA compiles
as it does for users: without its optimizations older instructions round alike, and rounding is not seen.
"""

import tomllib
from pathlib import Path

import pytest

from harness.core.plugins.configuration import Configuration
from harness.timing.engine.steps import observation
from harness.timing.engine.steps.deviations import Observed
from harness.timing.engine.steps.equal_work import frameworks_of
from harness.timing.engine.steps.observation import Process
from harness.timing.engine.steps.own import OwnStep
from harness.timing.engine.steps.process import StepTarget
from harness.timing.engine.steps.work import CALLS, Rounded, compare

FOLDER = Path(__file__).parents[3] / "support" / "pairs"
#: The right outcomes of each kind of pair.
RIGHT = {
    "equal": {"same", "rounding", "not distinguished"},
    "other": {"differs"},
    "close": {"not distinguished"},
}
TABLE = tomllib.loads((FOLDER / "pairs.toml").read_text("utf-8"))


def together(framework, steps, variables):
    target = StepTarget(
        target=f"{framework}_steps.py:make_steps", arguments={"steps": steps}, folder=str(FOLDER)
    )
    configuration = Configuration("", "", "cpu", 1, variables=tuple(variables.items()))
    return OwnStep(label=framework, configuration=configuration, target=target, timeout_seconds=3000)


def of_step(observed, name):
    """The values of one of the steps of a process; None if it failed there."""
    if observed is None:
        return None

    def own(arrays):
        split = ((key.partition("."), array) for key, array in arrays.items())
        return {key: array for (step, _, key), array in split if step == name}

    values = [own(arrays) for arrays in observed.calls]
    return Observed(observed.made, values, own(observed.state)) if all(values) else None


def compared(framework, folder, nets=(), **variables):
    """Yield the name, kind and comparison of every pair of a framework, of these networks or of all."""
    table = {net: each for net, each in TABLE[framework].items() if not nets or net in nets}
    bases = {net: {"net": net, **each.get("base", {})} for net, each in table.items()}
    pairs = {
        f"{net}: {name}": (net, kind, changes)
        for net, each in table.items()
        for kind in RIGHT
        for name, changes in each.get(kind, {}).items()
    }
    heads = {name: bases[net] | changes for name, (net, _, changes) in pairs.items()}
    base, head = (together(framework, steps, variables) for steps in (bases, heads))
    first, again, changed = observation.observe([Process(base), Process(base), Process(head)], CALLS, folder)
    double = frameworks_of(first.made)
    asked = [
        Process(base, other_rounding=True),
        Process(base, float64=double),
        Process(base, other_rounding=True, float64=double),
        Process(head, float64=double),
        Process(head, other_rounding=True, float64=double),
    ]
    *further, exact, both = observation.observe_if_possible(asked, CALLS, folder)
    for name, (net, kind, _) in pairs.items():
        heads = [of_step(each, name) for each in (exact, both)]
        rounded = Rounded(*(of_step(each, net) for each in further), *heads)
        bases = [of_step(each, net) for each in (first, again)]
        yield name, kind, compare(bases, of_step(changed, name), lambda rounded=rounded: rounded)


@pytest.fixture
def unhurried(monkeypatch):
    """Many steps in one process take longer than one."""
    for limit in ("_FIRST_CALLS_SECONDS", "_FURTHER_SECONDS"):
        monkeypatch.setattr(observation, limit, 1200.0)


def wrong(pairs):
    """The pairs that are judged wrongly: the same mathematics is accused, or another passes."""
    return {name: found.outcome for name, kind, found in pairs if found.outcome not in RIGHT[kind]}


def test_numpy(tmp_path):
    assert wrong(compared("numpy", tmp_path)) == {}


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    ("framework", "nets"),
    [
        pytest.param("torch", ("block",), marks=pytest.mark.slow),
        pytest.param("torch", ("cnn", "mlp", "rnn"), marks=pytest.mark.long),
        pytest.param("jax", (), marks=pytest.mark.long),
    ],
    ids=["torch block", "torch", "jax"],
)
def test_frameworks(framework, nets, tmp_path, unhurried):
    assert wrong(compared(framework, tmp_path, nets)) == {}


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("engine", ["tensorflow", "jax", "torch"])
def test_keras(engine, tmp_path, unhurried):
    assert wrong(compared("keras", tmp_path, KERAS_BACKEND=engine)) == {}


def test_other_rounding_keeps_the_flags_of_the_shell(monkeypatch):
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=2")
    variables = Process(together("jax", {}, {}), other_rounding=True).variables()
    assert variables["XLA_FLAGS"] == "--xla_force_host_platform_device_count=2 --xla_cpu_max_isa=SSE4_2"
