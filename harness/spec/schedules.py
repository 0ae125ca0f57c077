"""How the learning rate changes during a training, as data.

Steps are counted from 0. A schedule covers the whole training of ``steps`` steps, so that a shorter training
has the same course; places in it are shares of it. ``warmup_steps`` steps come first, in which the rate of
step ``t`` is ``learning_rate * (t + 1) / (warmup_steps + 1)``.
"""

import msgspec

from harness.layers.base import Described


class ConstantRate(msgspec.Struct, metaclass=Described, frozen=True, omit_defaults=True, tag="constant"):
    """The same rate throughout, after ``warmup_steps``."""

    warmup_steps: int = 0


class StepDecay(msgspec.Struct, metaclass=Described, frozen=True, omit_defaults=True, tag="step"):
    """The rate is multiplied by ``factor`` at each of the ``milestones``, shares of the training.

    ``warmup_steps`` come first and belong to it. Those of He et al. (2016) for CIFAR-10 are 0.5 and 0.75:
    32,000 and 48,000 of 64,000 steps.
    """

    milestones: tuple[float, ...]
    factor: float = 0.1
    warmup_steps: int = 0


class CosineDecay(msgspec.Struct, metaclass=Described, frozen=True, omit_defaults=True, tag="cosine"):
    """Half a cosine from the rate to ``final_factor`` of it (Loshchilov and Hutter 2017, without restarts).

    With ``p = (t - warmup_steps) / (steps - warmup_steps)`` the rate is ``learning_rate * (final_factor +
    (1 - final_factor) * (1 + cos(pi * p)) / 2)``.
    """

    final_factor: float = 0.0
    warmup_steps: int = 0


class LinearDecay(msgspec.Struct, metaclass=Described, frozen=True, omit_defaults=True, tag="linear"):
    """A straight line from the rate to ``final_factor`` of it.

    With ``p = (t - warmup_steps) / (steps - warmup_steps)`` it is ``learning_rate * (1 + (final_factor -
    1) * p)``.
    """

    final_factor: float = 0.0
    warmup_steps: int = 0


Schedule = ConstantRate | StepDecay | CosineDecay | LinearDecay
