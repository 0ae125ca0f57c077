"""What a backend is: it turns a plan into a program that the harness trains, reads and times."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec

from harness.spec.data import Samples
from harness.spec.task import Task

Precision = Literal["float32", "float64", "bfloat16"]

if TYPE_CHECKING:
    import numpy as np


class Unsupported(Exception):
    """A backend raises this where it cannot do what the plan asks; the message is the reason."""


#: What may be asked for as a plan's device.
DEVICE_PATTERN = r"\A(auto|cpu|cuda(:\d{1,3})?)\Z"


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One program to build.

    ``device`` is ``auto``, ``cpu``, ``cuda`` or ``cuda:N``. With ``cuda:N`` the worker's environment hides
    every GPU but that one, so a backend needs no index: it takes the first one it sees. With ``auto`` and
    ``cuda`` that is the first of those that the user sees.

    ``precision``: ``float32`` and ``float64`` hold for data, parameters, arithmetic and optimizer
    state. ``bfloat16`` means mixed precision: parameters and optimizer state in float32, layers
    computed in bfloat16, logits brought back to float32 before the loss.

    ``seed`` is for the framework's own random numbers (dropout masks).
    """

    task: Task
    mode: str
    device: str = "auto"
    precision: Precision = "float32"
    threads: int
    seed: int


@dataclass(frozen=True, slots=True)
class Steps:
    """Consecutive training steps of one batch size, as many as the harness likes.

    Their number changes from call to call: one step, then eight, then what fills the time that a block is to
    take, never past an epoch's end, where one of a shorter batch may follow. A program that is compiled for
    one number would be compiled anew within a block that is timed: compile for any (a loop of dynamic length,
    or one step that is called often).

    ``indices (steps, batch)`` int64 point into the training data, a row a step. ``latents (steps,
    batch, latent_size)`` are the inputs of a generator, of the dtype of the training data.

    With ``flip``, ``flips (steps, batch)`` bool says which pictures are mirrored; with ``crop``, ``offsets
    (steps, batch, 2)`` int64 are the row and column in the zero-padded picture, each from 0 to ``2 * crop``,
    where the window begins. A task may have one without the other, and the other is None then. Flipping
    comes after cutting.
    """

    indices: np.ndarray
    latents: np.ndarray | None = None
    flips: np.ndarray | None = None
    offsets: np.ndarray | None = None


class Program(abc.ABC):
    """A task, built by a backend for one plan and ready to train."""

    #: The device in use, ``cpu`` or such as ``cuda:0 (NVIDIA H100)``, written so by every backend: runs on
    #: devices that are not the same text are not compared. A plan's ``cpu`` or ``cuda`` must be obeyed.
    device: str

    @abc.abstractmethod
    def load(self, weights: Mapping[str, np.ndarray]) -> None:
        """Take a copy of these canonical float64 arrays as the weights (names as in :meth:`Task.parameters`).

        Optimizer state is left as it is: the harness loads before the first step, and to score.
        """

    @abc.abstractmethod
    def weights(self) -> dict[str, np.ndarray]:
        """The weights now, as canonical arrays that later steps do not change, of float32 or float64.

        The clock is proven by it: it must take as long when called again, so it compiles nothing and keeps
        no copy.
        """

    @abc.abstractmethod
    def train(self, steps: Steps) -> np.ndarray:
        """Make these steps, in order; the loss that each minimised ``(steps,)``, penalty included.

        An adversarial program gives ``(steps, 2)``: the discriminator's and the generator's, and puts
        the penalty of each network into the loss of that network.

        Each loss is the one before its update, as the gradient saw it. May return before an
        accelerator has finished: the harness calls :meth:`synchronize` before it reads the clock.
        """

    @abc.abstractmethod
    def predict(self, inputs: np.ndarray, network: str = "model") -> np.ndarray:
        """Outputs ``(n, *output)`` of a network in evaluation mode, as an array of float32 or float64.

        So under a plan in ``bfloat16`` too, and a generator's pictures: NumPy knows no bfloat16.

        ``inputs (n, *input)``, any ``n`` from 1, are of the dtype that the training data had. The backend
        chooses its batches. Nothing of the training changes by it, nor what that draws.
        """

    @abc.abstractmethod
    def synchronize(self) -> None:
        """Return when the device has finished all work asked of it."""

    def device_peak_memory_bytes(self) -> int | None:
        """The most memory held on an accelerator so far; None where the program runs on the CPU."""
        return None


class Backend(abc.ABC):
    """What a backend plugin hands over. Making one and reading its attributes imports no framework."""

    name: str
    summary: str
    #: Ways to run that an expert of the framework would choose between; the first is the default.
    modes: tuple[str, ...]
    #: The distributions it needs, as requirement strings: ``("torch>=2.6",)``.
    requires: tuple[str, ...]
    #: The extra of its distribution that brings them: ``torch``; empty where there is none.
    extra: str = ""

    @abc.abstractmethod
    def environment(self, threads: int) -> dict[str, str]:
        """Import the framework, set its thread counts, and say what it is.

        Keys: ``engine`` (``torch``, ``tensorflow``, ``jax``, ...), its version under that name, and whatever
        of its build bears on speed. The versions under the engine's name, the backend's, and what that has
        before a hyphen make runs another side; the harness adds that of the plugin, where it is installed.
        Called before :meth:`build`; the harness times it
        as the import. A worker calls it once, the conformance kit for each of its tests in one process:
        with the same threads, another call must change nothing.
        """

    @abc.abstractmethod
    def build(self, plan: Plan, data: Samples) -> Program:
        """The program for a plan, with the training data placed where it trains.

        Called many times in a process that certifies, and programs live beside each other there: what one
        does must not show in another.

        ``data.inputs`` are float32 (float64 where the plan says so), scaled; targets int64 classes, or of a
        :class:`Regression` values of the inputs' dtype. The arrays are read-only: what is to be changed must
        be copied.

        Raises:
            Unsupported: the plan asks for what this framework or this machine cannot do.
        """
