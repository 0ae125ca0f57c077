"""What a backend is: it turns a plan into a program that the harness trains, reads and times."""

from __future__ import annotations

import abc
import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import msgspec

from harness.layers.base import Described
from harness.spec.data import Samples
from harness.spec.task import Task

Precision = Literal["float32", "float64", "bfloat16"]

if TYPE_CHECKING:
    import numpy as np


class Unsupported(Exception):
    """Raised by a backend that does not support what the plan asks for; the message is the reason."""


#: The valid devices of a plan.
DEVICE_PATTERN = r"\A(auto|cpu|cuda(:\d{1,3})?)\Z"


class Plan(msgspec.Struct, metaclass=Described, frozen=True, kw_only=True):
    """One program to build.

    ``task`` is what to train, ``mode`` one of the backend's ``modes``, ``threads`` the number of CPU threads,
    as given to :meth:`Backend.environment`.

    ``device`` is ``auto``, ``cpu``, ``cuda`` or ``cuda:N``. With ``cuda:N`` the worker's variables hide every
    other GPU, so a backend needs no index: it takes the first GPU that it sees. With ``auto`` and ``cuda``
    that is the first of those that the user sees.

    ``precision``: ``float32`` and ``float64`` apply to data, parameters, arithmetic and optimizer state.
    ``bfloat16`` is mixed precision: parameters and optimizer state in float32, layers computed in bfloat16,
    logits converted to float32 before the loss.

    ``seed`` determines the framework's own random numbers (dropout masks).
    """

    task: Task
    mode: str
    device: str = "auto"
    precision: Precision = "float32"
    threads: int
    seed: int


@dataclass(frozen=True, slots=True)
class Steps:
    """Consecutive training steps of one batch size; the harness chooses how many.

    Their number changes from call to call: one step, then eight, then as many as fill the duration of a
    block. They never cross the end of an epoch, where a step with a shorter batch may follow. A program
    compiled for one number of steps would be compiled again within a timed block: compile for any number (a
    loop of dynamic length, or one step that is called repeatedly).

    ``indices (steps, batch)`` int64 point into the training data, one row per step. ``latents (steps,
    batch, latent_size)`` are the inputs of a generator, of the dtype of the training data.

    With ``flip``, ``flips (steps, batch)`` bool marks the pictures that are mirrored. With ``crop``,
    ``offsets (steps, batch, 2)`` int64 are the row and column in the zero-padded picture, each from 0 to
    ``2 * crop``, at which the window begins. A task may use only one of them; the other is then None.
    Flipping comes after cropping.

    Where the user's own code augments the inputs, ``augmented (steps, batch, *input)`` are the inputs of
    these steps, of the type of the training inputs, and ``indices`` only select the targets.

    ``learning_rates (steps,)`` float64 are the rates of these steps, from the task's schedule; always given.
    Weight decay uses them too. They are data, not constants: a program compiled for one rate would be
    compiled again at each step.

    With ``privacy`` the samples of a step are drawn one by one, so that their number differs from step to
    step. ``batch`` is a fixed number that is larger, and ``included (steps, batch)`` bool marks the samples:
    they come first, what follows is padding. ``noise`` are standard normal draws ``(steps, *shape)`` by the
    full name of each parameter, canonical as in :meth:`Program.load`; they come with certificates. Otherwise
    it is None, and the framework draws its own from ``noise_seeds (steps, 2)`` int64, each from 0 to 2**31 -
    1: the noise of a step depends on its own seeds alone.
    """

    indices: np.ndarray
    latents: np.ndarray | None = None
    flips: np.ndarray | None = None
    offsets: np.ndarray | None = None
    learning_rates: np.ndarray | None = None
    included: np.ndarray | None = None
    noise_seeds: np.ndarray | None = None
    noise: Mapping[str, np.ndarray] | None = None
    augmented: np.ndarray | None = None


class Program(abc.ABC):
    """A task, built by a backend for one plan and ready to train.

    ``device`` is the device in use: ``cpu``, or ``cuda:0 (NVIDIA H100)`` and the like. Every backend writes
    it this way, because runs are comparable only where the text is equal. A plan's ``cpu`` or ``cuda`` must
    be obeyed.
    """

    device: str

    @abc.abstractmethod
    def load(self, weights: Mapping[str, np.ndarray]) -> None:
        """Copy these canonical float64 arrays into the weights (names as in :meth:`Task.weights`).

        Weights are the parameters and the state, such as the running statistics of :class:`BatchNorm`.
        Optimizer state stays unchanged: the harness loads weights before the first step and for scoring.
        """

    @abc.abstractmethod
    def weights(self) -> dict[str, np.ndarray]:
        """Return the current weights as canonical float32 or float64 arrays that later steps do not change.

        The harness reads them right after steps, to see that :meth:`synchronize` waits: each call must take
        equally long, so it must not compile anything after the first call or cache its result.
        """

    @abc.abstractmethod
    def train(self, steps: Steps) -> np.ndarray:
        """Make these steps in order. Returns the minimised losses ``(steps,)``, each including the penalty.

        An adversarial program returns ``(steps, 2)``: the discriminator's and the generator's loss, each
        including the penalty of its own network. With ``privacy`` the loss of a step is the sum of the losses
        of its samples, divided by the task's ``batch_size``, plus the penalty.

        Losses are a NumPy array of float32 or float64, in a plan in ``bfloat16`` too. Arrays of a framework,
        such as an array that JAX computes later, are refused. The timed call ends when they have been copied.

        Each loss is the value before the update, from which the gradient was taken. The call may return
        before an accelerator has finished: the harness calls :meth:`synchronize` before it reads the clock.
        """

    @abc.abstractmethod
    def predict(self, inputs: np.ndarray, network: str = "model") -> np.ndarray:
        """Return the outputs ``(n, *output)`` of ``network`` in evaluation mode, as float32 or float64.

        This holds for plans in ``bfloat16`` and for a generator's pictures too: NumPy has no bfloat16.

        ``inputs (n, *input)``, with ``n`` at least 1, have the dtype of the training data. The backend
        chooses the batches. Running statistics are used and do not change. The call must not affect the
        training or its random numbers.
        """

    def predictor(self, network: str = "model") -> Callable[[np.ndarray], np.ndarray]:
        """Return a function that predicts one batch, as the framework is used to serve ``network``; optional.

        The function maps inputs ``(n, *input)``, as :meth:`predict` takes them, to outputs ``(n, *output)``
        as NumPy arrays of float32 or float64, in evaluation mode and in one batch of exactly this size. It is
        timed with few sizes, each of them many times, so a framework may compile for each size. By default it
        is :meth:`predict`, which may pad its inputs.
        """
        return functools.partial(self.predict, network=network)

    def input_gradients(
        self, inputs: np.ndarray, targets: np.ndarray, network: str = "model"
    ) -> tuple[np.ndarray, np.ndarray]:
        """Differentiate one output of each row by the row's inputs; optional.

        Returns the gradients ``(n, *input)`` and the outputs ``(n,)``, float32 or float64. ``targets (n,)``
        int64 select the output: its place in the outputs of a row, flattened in canonical order. For a
        classifier the target is the class, whose logit is differentiated before any softmax; for a classifier
        of positions it is ``position * classes + class``.

        The network is in evaluation mode as in :meth:`predict`: no dropout, and running statistics, so that
        rows do not depend on one another. The network is differentiated unchanged: where a ReLU is 0 its
        slope is 0, whatever the sign of the gradient.

        ``inputs (n, *input)`` have the dtype of the training data. Tokens have no gradient: for a network
        that begins with an :class:`Embedding`, ``inputs`` are the rows of its table ``(n, steps, width)``,
        which the harness looks up, and the gradients are taken by these rows. An :class:`Unembedding` that
        shares the table is a constant.

        The call must not affect the training. By default a program has no gradients of inputs.

        Raises:
            Unsupported: the program does not offer gradients for this network.
        """
        raise Unsupported("no gradients of inputs")

    @abc.abstractmethod
    def synchronize(self) -> None:
        """Wait until the device has finished all work."""

    def device_peak_memory_bytes(self) -> int | None:
        """Return an accelerator's peak memory so far in bytes; None for a program on the CPU."""
        return None

    def training_state(self) -> dict[str, np.ndarray] | None:
        """Copy everything besides the weights on which later training steps depend; optional.

        The result holds the optimizer's moments, step counts, and the state of random generators that
        training uses, such as dropout's. An empty dictionary states that there is nothing: plain gradient
        descent without dropout. None, the default, states that the state cannot be read.

        After ``load(weights)`` and ``load_training_state(state)`` a second program of the same backend, plan
        and data continues exactly where this program was, up to rounding. The keys and the arrays' types are
        the backend's own.

        The harness reads the state only between calls of :meth:`train`. The call must not change the
        training, and later steps must not change the arrays.
        """
        return None

    def load_training_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Continue from a result of :meth:`training_state`; called only where that result is not None.

        After ``load(weights)`` and this call the program continues exactly where the program that returned
        the state was, up to rounding, whether or not it has made steps before. The arrays are read-only: copy
        the arrays that training changes.
        """
        raise NotImplementedError("a program that returns a training_state must load it")


class Backend(abc.ABC):
    """What a backend plugin provides. Creating it and reading its attributes must import no framework.

    ``name`` is its name on the command line, ``summary`` one line of text.

    ``modes`` are the ways to run between which an expert of the framework chooses, at least one; the first is
    the default, unless :meth:`default_mode` says otherwise. ``plan.mode`` is one of them. None may be named
    ``best`` or ``*``, which stand for the fastest and for all of them.

    ``requires`` are the distributions that it needs, as requirement strings: ``("torch>=2.6",)``. Where one
    is missing, the backend is listed as not installed.

    ``extra`` is the extra of the plugin's own distribution that installs them, such as ``torch``; empty where
    there is none.

    ``compilation_caches`` are the environment variables that name the folders in which the framework keeps
    compilations between processes, such as ``("TRITON_CACHE_DIR",)``. Each worker gets an empty folder there
    before :meth:`environment` is called, so that its first step includes the compilation; all other variables
    stay as they are.

    A backend that lacks a layer or a rule of training declines it itself: :meth:`build` raises
    :class:`Unsupported`.

    ``losses`` are those of :data:`harness.spec.LOSSES` that it computes besides the default of each
    objective. The harness declines every other one for it, before :meth:`build` is called: a backend that
    does not know the field ``loss`` of an objective would train with the default.

    ``sample_gradients`` says that it computes the gradients of single samples, which a task with ``privacy``
    needs. The harness declines such tasks for every other backend.

    ``own_code`` are the fields of :class:`harness.spec.OwnCode` that it uses in place of its own. The harness
    declines tasks with others for it.

    ``step_hooks`` serve steps of the user's own (``harness time FILE.py:CALLABLE``): the module of the
    framework, and the path of a Python file that is executed in the process of such a step once it has
    imported that module. The file may define ``seed(number)``, called before the step is made,
    ``compute_in_float64()``, called right after the import in a process that is to compute in float64 what
    the user's code computes in float32,
    ``synchronize(value)``, which waits until what a step returned is computed, ``array(value)``, which makes
    an array of NumPy of a tensor and returns anything else unchanged, and
    ``profile(run)``, which calls
    ``run()`` once under the framework's profiler and returns what it saw as tuples ``(lane, operation, start,
    duration)`` in seconds, where a lane is a thread or a stream and an empty name stands for what is no
    operation; None where it cannot. The file may import the framework and nothing of the harness.
    """

    name: str
    summary: str
    modes: tuple[str, ...]
    requires: tuple[str, ...]
    extra: str = ""
    compilation_caches: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    sample_gradients: bool = False
    own_code: tuple[str, ...] = ()
    step_hooks: tuple[str, str] | None = None

    def default_mode(self, task: Task) -> str:
        """Return the mode for ``task`` where the user names none; optional.

        The mode is the one that the framework's own guide recommends for such a network on any machine.
        """
        return self.modes[0]

    @abc.abstractmethod
    def environment(self, threads: int) -> dict[str, str]:
        """Import the framework, set its thread counts, and describe it.

        Keys: ``engine`` (``torch``, ``tensorflow``, ``jax``, ...), its version under that name, and the
        properties of its build that influence speed. Runs with different versions are different
        configurations; the versions that count are those under the engine's name, the backend's name, and the
        part of the backend's name before a hyphen. The harness adds the plugin's version where it is
        installed.

        Called before :meth:`build`; the harness times it as the import. A worker calls it once, the
        conformance kit once for each test in one process: a further call with the same threads must change
        nothing.
        """

    @abc.abstractmethod
    def build(self, plan: Plan, data: Samples) -> Program:
        """Build the program of a plan, with the training data on the device that trains.

        A process that certifies calls it many times, and its programs exist side by side: they must not
        affect each other.

        ``data.inputs`` are scaled, float32 (float64 if the plan says so), or int64 tokens for a network that
        begins with an :class:`Embedding`; targets are int64 classes ``(n,)`` or ``(n, ...)``, or for a
        :class:`Regression` values of the inputs' dtype. The arrays are read-only, and so are
        the inputs in :meth:`Program.predict`: copy what you change. A write through a pointer, such as
        ``torch.from_numpy(inputs).mul_(0.5)``, fails the run at its end.

        Raises:
            Unsupported: the framework or this machine does not support what the plan asks for.
        """
