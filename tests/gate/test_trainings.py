"""How many seeds are trained, and how often chance alone decides."""

import math
import time
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest

from harness.gate import quality, reasons
from harness.gate.quality import compare_trainings
from harness.gate.record import SeedScores
from harness.gate.suite import Limits
from harness.plugins import registry

LIMITS = Limits(max_accuracy_loss=0.01, max_extra_steps=0.25)


def row(seed=0, *, base=0.9, head=0.9, steps=(100, 100), head_steps=400):
    return SeedScores(
        seed=seed,
        base=base,
        head=head,
        base_steps_to_target=steps[0],
        head_steps_to_target=steps[1],
        head_steps=head_steps,
    )


@pytest.fixture
def trained(monkeypatch):
    """Trains nothing: accuracies are drawn, those of head around ``mean``. Returns the seeds used."""
    rng = np.random.default_rng(3)
    made = []

    def stand_in(mean, spread):
        def scores(seed, *_):
            made.append(seed)
            return row(seed, head=rng.normal(mean, spread))

        monkeypatch.setattr(quality, "_train", lambda *_: None)
        monkeypatch.setattr(quality, "seed_scores", scores)
        return made

    return stand_in


def over_seeds(seeds, deadline=math.inf, epochs=3):
    mlp = registry.task("mlp")
    task = msgspec.structs.replace(mlp.define(mlp.options()), epochs=epochs)
    workload = SimpleNamespace(task=task)
    pair = [workload, workload]
    return compare_trainings(pair, "made up", LIMITS, 0.01, range(seeds), 1.0, deadline, lambda _line: None)


def test_seeds_are_trained_until_head_is_shown_to_be_no_worse(trained):
    made = trained(0.9, 0.0)
    assert over_seeds(20).verdict == "PASS"
    assert made == [0, 1, 2]
    made.clear()
    trained(0.87, 0.001)
    assert over_seeds(6).verdict == "FAIL"
    assert made == [0, 1, 2, 3, 4, 5]


def test_trainings_of_two_epochs_cannot_show_the_steps_to_a_target(trained):
    """Half of them is the first, by which both have trivially reached the target: any head would pass."""
    made = trained(0.9, 0.0)
    result = over_seeds(20, epochs=2)
    too_few = reasons.TooFewEpochs(epochs=2, needed=3)
    assert (result.verdict, result.reasons, made) == ("INVALID", [too_few], [])


def test_no_training_starts_after_the_deadline(trained):
    made = trained(0.9, 0.0)
    result = over_seeds(5, deadline=time.monotonic() - 1)
    assert (result.verdict, result.reasons, made) == ("INVALID", [reasons.TooFewSeeds(seeds=0)], [])


@pytest.mark.parametrize(
    ("mean", "word", "most"), [(0.89, "PASS", 0.065), (0.9, "FAIL", 0.012)], ids=["at its limit", "as good"]
)
def test_chance_alone_seldom_decides(trained, mean, word, most):
    trained(mean, 0.01)
    verdicts = [over_seeds(20).verdict for _ in range(1000)]
    assert verdicts.count(word) <= most * len(verdicts)
