"""A second program continues from a training state: planted faults are found and named."""

import re

import numpy as np
import pytest

pytest.importorskip("torch")

from support.altered import Altered, faulty

from harness.core.certify.cases import cases
from harness.core.certify.long_calls import compare_calls, long_calls_case, observe_calls
from harness.core.certify.observation import TrialPrograms
from harness.core.plugins import registry
from harness.testing.checks import faulty_state
from harness_torch import TorchBackend

MLP = registry.task("mlp")


def faults(backend, task=MLP, mode="eager"):
    """What the kit finds."""
    backend.environment(1)
    return faulty_state(TrialPrograms(backend, mode, 1), cases(task))


def finding(backend, task=MLP):
    """What a certificate finds in its case of long calls."""
    return compare_calls(observe_calls(TrialPrograms(backend, "eager", 1), long_calls_case(task)))


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


class KeepsWhatItLoads(Altered):
    """Later steps write to the arrays that it was given, through a pointer."""

    given = None

    def load_training_state(self, state):
        self.given = dict(state)
        self.right.load_training_state(state)

    def train(self, steps):
        losses = self.right.train(steps)
        for array in (self.given or {}).values():
            owner = array.base
            owner[...] = 0
        return losses


class LoadsNothing(Altered):
    def load_training_state(self, state):
        pass


class LoadsAPart(Altered):
    def load_training_state(self, state):
        part = "model/0/momentum_buffer"
        lost = {part: np.zeros_like(state[part])} if part in state else {}
        self.right.load_training_state({**state, **lost})


class ReadingMakesADifference(Altered):
    """As if reading the state emptied a buffer."""

    def training_state(self):
        state = self.right.training_state()
        self.right.load({name: 1.01 * array for name, array in self.right.weights().items()})
        return state


class Raises(Altered):
    def load_training_state(self, state):
        raise KeyError("momentum")


class Unreadable(Altered):
    def training_state(self):
        return None


LACKING = "updates or dropout depend on"


@pytest.mark.parametrize(
    ("program", "in_kit", "in_certificate"),
    [
        (without("momentum_buffer"), f"the loss of its step 2 .*{LACKING}", LACKING),
        (without("step"), f"the loss of its step 2 .*{LACKING}", None),
        (without("exp_avg"), LACKING, None),
        (without("square_avg"), LACKING, None),
        (WithoutGenerator, f"the loss of its step 1 .*{LACKING}", None),
        (LiveMemory, "memory that later steps change: model/0/.*; copy", "memory that later steps change"),
        (KeepsWhatItLoads, r"load_training_state\(\) keeps the memory that .*; copy it", None),
        (LoadsNothing, r"load_training_state\(\) does not take over", r"does not take over"),
        (LoadsAPart, r"load_training_state\(\) does not take over", None),
        (ReadingMakesADifference, None, r"step 1 of a call of 5"),
    ],
)
def test_the_kit_and_a_certificate_s_long_calls_find_and_name_a_fault_of_the_state(
    program, in_kit, in_certificate
):
    if in_kit:
        found = "\n".join(faults(faulty(program)))
        assert re.search(in_kit, found), found
    if in_certificate:
        compared = finding(faulty(program))
        assert not compared.passed
        assert re.search(in_certificate, compared.explanation), compared.explanation


@pytest.mark.parametrize("program", [Altered, Unreadable])
@pytest.mark.parametrize("task", ["mlp", "forecast"])
def test_an_honest_program_passes_and_one_that_offers_no_state(program, task):
    assert not faults(faulty(program), registry.task(task))
    assert finding(faulty(program), registry.task(task)).passed


def test_what_loading_raises_is_reported():
    with pytest.raises(KeyError, match="momentum"):
        faults(faulty(Raises))


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:.torch.jit.script_method:DeprecationWarning")
@pytest.mark.parametrize(("mode", "task"), [("compile", "mlp"), ("channels_last", "cnn")])
def test_torch_continues_in_its_other_modes(mode, task):
    assert not faults(TorchBackend(), registry.task(task), mode)
