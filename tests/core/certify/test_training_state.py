"""A second program continues from a training state: planted faults are found."""

import re

import numpy as np
import pytest

pytest.importorskip("torch")

from support.altered import Altered, faulty

from harness.core.certify.cases import cases
from harness.core.certify.observation import TrialPrograms
from harness.core.plugins import registry
from harness.testing.checks import faulty_state
from harness_torch import TorchBackend

MLP = registry.task("mlp")


def faults(backend, task=MLP, mode="eager"):
    """What the kit finds."""
    backend.environment(1)
    return faulty_state(TrialPrograms(backend, mode, 1), cases(task))


class Without(Altered):
    """Zeros in place of the arrays whose names contain this."""

    part = ""

    def training_state(self):
        state = self.right.training_state()
        return {name: np.zeros_like(a) if self.part in name else a for name, a in state.items()}


def without(part):
    """A program whose state lacks the arrays with this in their names."""
    return type("Lacking", (Without,), {"part": part})


class WithoutGenerator(Altered):
    """Reads none, and leaves that of a new program as it is."""

    def training_state(self):
        return {name: array for name, array in self.right.training_state().items() if name != "generator"}

    def load_training_state(self, state):
        own = self.right.training_state()
        self.right.load_training_state({name: own[name] for name in own if name == "generator"} | state)


class LiveMemory(Altered):
    """Returns what training goes on to change."""

    live = None

    def training_state(self):
        self.live = self.right.training_state()
        return self.live

    def train(self, steps):
        losses = self.right.train(steps)
        for name, array in (self.live or {}).items():
            array[...] = self.right.training_state()[name]
        return losses


class LoadsNothing(Altered):
    def load_training_state(self, state):
        pass


class LoadsAPart(Altered):
    def load_training_state(self, state):
        part = "model/0/momentum_buffer"
        lost = {part: np.zeros_like(state[part])} if part in state else {}
        self.right.load_training_state({**state, **lost})


class Raises(Altered):
    def load_training_state(self, state):
        raise KeyError("momentum")


class Unreadable(Altered):
    def training_state(self):
        return None


LACKING = "updates or dropout depend on"


@pytest.mark.parametrize(
    ("program", "fault"),
    [
        (without("momentum_buffer"), f"the loss of its step 2 .*{LACKING}"),
        (without("step"), f"the loss of its step 2 .*{LACKING}"),
        (without("exp_avg"), LACKING),
        (without("square_avg"), LACKING),
        (WithoutGenerator, f"the loss of its step 1 .*{LACKING}"),
        (LiveMemory, "memory that later steps change: model/0/.*; copy"),
        (LoadsNothing, LACKING),
        (LoadsAPart, LACKING),
    ],
)
def test_the_kit_finds_a_fault_of_the_state(program, fault):
    found = "\n".join(faults(faulty(program)))
    assert re.search(fault, found), found


@pytest.mark.parametrize("program", [Altered, Unreadable])
@pytest.mark.parametrize("task", ["mlp", "forecast"])
def test_an_honest_program_passes_and_one_that_offers_no_state(program, task):
    assert not faults(faulty(program), registry.task(task))


def test_what_loading_raises_is_reported():
    with pytest.raises(KeyError, match="momentum"):
        faults(faulty(Raises))


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method:DeprecationWarning")
@pytest.mark.parametrize(("mode", "task"), [("compile", "mlp"), ("channels_last", "cnn")])
def test_torch_continues_in_its_other_modes(mode, task):
    assert not faults(TorchBackend(), registry.task(task), mode)
