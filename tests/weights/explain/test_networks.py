"""Explanations of networks trained apart: kept as ranks, compared between seeds and frameworks."""

import types

import msgspec
import numpy as np
import pytest
from support.records import make_record
from support.training_cases import TASKS, program, samples, task

from harness.core.reference.training import NumpyBackend
from harness.core.runs.record import Extension
from harness.layers import Conv2D, Dense, Flatten
from harness.learning.runs.rows import ConfigurationRuns
from harness.network import Network
from harness.weights.explain.agreement import agreements, networks_of, survivals
from harness.weights.explain.networks import METHODS, correlations_of, explain_network, packed_ranks
from harness.weights.explain.record import EXPLANATIONS, ExplainedNetwork, MapsOfMethod

PICTURES = task({"model": Network((8, 8, 2), (Conv2D(3, 3, "relu"), Flatten(), Dense(8, "relu"), Dense(5)))})


def network_of(maps, last=0.1):
    kept = MapsOfMethod(packed_ranks(maps), [1.0, 0.0], [0.0, 1.0], [("dense_1", 0.3), ("conv2d_1", last)])
    return ExplainedNetwork(len(maps), maps[0].size, {"gradient × input": kept}, [1.0, 0.5], [0.0, 0.5])


def record_of(network, seed):
    entry = Extension(msgspec.to_builtins(network))
    return msgspec.structs.replace(make_record(), seed=seed, extensions={EXPLANATIONS: entry})


def networks(noise_of_seeds, noise_of_frameworks, seeds=4, frameworks=("a", "b")):
    """Maps that share a part, and differ by seed and by framework."""
    rng = np.random.default_rng(0)
    shared = rng.standard_normal((12, 80))
    of_framework = {name: noise_of_frameworks * rng.standard_normal((12, 80)) for name in frameworks}
    return {
        name: {
            seed: network_of(shared + of_framework[name] + noise_of_seeds * rng.standard_normal((12, 80)))
            for seed in range(seeds)
        }
        for name in frameworks
    }


@pytest.mark.parametrize(
    ("made", "verdict"),
    [
        (networks(1.0, 0.0, seeds=6), "as much"),
        (networks(0.5, 1.0), "less"),
        (networks(1.0, 0.0, seeds=2), "few"),
        (networks(1.0, 0.0, frameworks=("a",)), "one framework"),
    ],
)
def test_frameworks_agree_as_much_as_seeds_or_less(made, verdict):
    (found,) = agreements(made)
    assert found.verdict == verdict
    assert found.seeds.value == pytest.approx(0.5, abs=0.2) or verdict == "less"
    if verdict == "less":
        assert found.difference.high < 0
        assert found.frameworks.value < found.seeds.value


def test_without_maps_there_is_nothing_to_say():
    assert agreements({}) == []
    runs = (types.SimpleNamespace(record=make_record()),)
    assert networks_of([ConfigurationRuns("a", runs)]) == {}


@pytest.mark.parametrize(("left", "flagged"), [(0.9, True), (0.1, False)])
def test_a_map_that_survives_randomised_layers_is_flagged(left, flagged):
    maps = np.random.default_rng(0).standard_normal((4, 9))
    runs = tuple(types.SimpleNamespace(record=record_of(network_of(maps, left), seed)) for seed in range(3))
    configuration = ConfigurationRuns("a", runs)
    (found,) = survivals(types.SimpleNamespace(configuration=configuration))
    assert found.is_flagged == flagged
    assert found.layers == [("dense_1", pytest.approx(0.3)), ("conv2d_1", pytest.approx(left))]


@pytest.mark.parametrize("of", [PICTURES, TASKS["transformer"]], ids=["pictures", "tokens"])
def test_a_network_is_explained_and_has_its_weights_again(of):
    made = program(NumpyBackend(), of)
    before = made.weights()
    found = explain_network(made, of, samples(of))
    assert all(np.array_equal(made.weights()[name], before[name]) for name in before)
    assert found == explain_network(made, of, samples(of))
    assert found.rows == 16
    for name in METHODS:
        assert correlations_of(found, found, name) == pytest.approx(np.ones(16))
        maps = found.methods[name]
        assert maps.deletion[0] == pytest.approx(maps.insertion[-1], rel=1e-5)
        assert maps.deletion[0] == pytest.approx(found.chance_deletion[0], rel=1e-5)
        first = of.networks["model"].placed()[0].name
        assert (maps.randomised[-1][0], len(maps.randomised)) == (first, min(4, len(maps.randomised)))
    decoded = msgspec.json.decode(msgspec.json.encode(found), type=ExplainedNetwork)
    assert decoded == found
    damaged = msgspec.to_builtins(found) | {"positions": 3}
    with pytest.raises(msgspec.ValidationError, match="another length"):
        msgspec.convert(damaged, ExplainedNetwork)


def test_a_map_of_the_picture_alone_survives_and_is_flagged(monkeypatch):
    """As an edge detector: it uses no gradients at all."""
    from harness.weights.explain import networks as module
    from harness.weights.explain.attributions import Attribution

    monkeypatch.setattr(
        module, "METHODS", {"edges": lambda _subject, numbers, _places: Attribution(np.abs(numbers))}
    )
    made = program(NumpyBackend(), PICTURES)
    found = explain_network(made, PICTURES, samples(PICTURES))
    assert found.methods["edges"].randomised[-1][1] == pytest.approx(1.0)
