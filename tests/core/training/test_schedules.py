"""Learning rates against formulas written out, and where a schedule does not fit."""

import math

import numpy as np
import pytest

from harness.core.training.batches import BatchOrder
from harness.core.training.learning_rates import LearningRates
from harness.errors import UsageError
from harness.spec import ConstantRate, CosineDecay, LinearDecay, StepDecay
from harness_tasks.lm import LM
from harness_tasks.resnet import RESNET


def _rates(schedule, steps=20, peak=0.5):
    return LearningRates(peak, schedule, steps).of_steps(0, steps)


def test_a_constant_rate_is_the_optimizers():
    assert _rates(ConstantRate()).tolist() == [0.5] * 20


def test_the_rate_rises_to_its_peak_during_the_warm_up():
    rates = _rates(ConstantRate(warmup_steps=4))
    assert rates[:5] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5], rel=1e-15)
    assert set(rates[4:]) == {0.5}


def test_steps_fall_at_their_share_of_the_training():
    rates = _rates(StepDecay((0.5, 0.75), 0.1))
    assert rates == pytest.approx([0.5] * 10 + [0.05] * 5 + [0.005] * 5, rel=1e-15)


def test_a_cosine_and_a_line_from_the_peak_to_their_end():
    cosine = _rates(CosineDecay(0.1, 4))
    by_hand = [0.05 + 0.5 * (1 + math.cos(math.pi * (t - 4) / 16)) * 0.45 for t in range(4, 20)]
    assert cosine[4:] == pytest.approx(by_hand, rel=1e-14)
    line = _rates(LinearDecay(0.1, 4))
    assert line[4:] == pytest.approx([0.5 - 0.45 * (t - 4) / 16 for t in range(4, 20)], rel=1e-14)
    assert cosine[:4].tolist() == line[:4].tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4])


def test_rates_do_not_depend_on_how_steps_are_divided():
    whole = LearningRates(0.3, CosineDecay(0.0, 3), 30)
    parts = [whole.of_steps(start, count) for start, count in ((0, 1), (1, 8), (9, 21))]
    assert np.concatenate(parts).tolist() == whole.of_steps(0, 30).tolist()


def test_after_the_training_the_last_rate_is_kept():
    rates = LearningRates(0.3, LinearDecay(), 10)
    assert rates.of_steps(10, 3).tolist() == [rates.of_steps(9, 1)[0]] * 3
    assert rates.of_steps(9, 1)[0] > 0


def test_a_warm_up_that_does_not_end_is_refused_in_one_line():
    with pytest.raises(UsageError, match=r"warm-up of 100 steps is longer than the training of 100; train"):
        LearningRates(0.3, ConstantRate(100), 100)


def test_steps_bring_the_rates_of_the_tasks():
    task = LM.define(LM.options())
    order = BatchOrder.of_task(task, 15_685, seed=0)
    assert (order.steps_per_epoch, order.rates.steps) == (250, 2000)
    rates = order.steps(0, 250).learning_rates
    # nanoGPT's get_lr at iterations 0, 99 and 100; its minimum is a tenth.
    assert rates[[0, 99, 100]] == pytest.approx([1e-3 / 101, 1e-3 * 100 / 101, 1e-3], rel=1e-12)
    last = order.steps(1999, 1).learning_rates[0]
    assert last == pytest.approx(1e-4 + 0.5 * (1 + math.cos(math.pi * 1899 / 1900)) * 9e-4, rel=1e-12)

    task = RESNET.define(RESNET.options())
    order = BatchOrder.of_task(task, 45_000, seed=0)
    assert order.rates.steps == 182 * 352
    assert order.steps(32_032, 1).learning_rates == pytest.approx([0.01])
    assert order.steps(32_031, 1).learning_rates == pytest.approx([0.1])
