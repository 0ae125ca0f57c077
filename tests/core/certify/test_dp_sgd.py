"""DP-SGD: mistakes in a backend are found, by certificate, statistics or audit."""

import dataclasses
import functools

import msgspec
import numpy as np
import pytest

from harness.core.certify.cases import PRIVATE_CASE, cases
from harness.core.certify.certify import NOISE, PRIVATE, NotOffered, Selection, examine, examine_noise
from harness.core.certify.noise import (
    AUDIT_PRIVACY,
    audit_canaries,
    gaussian_epsilon,
    lengthened,
    noise_tests,
    wrong_noise,
)
from harness.core.certify.observation import TrialPrograms
from harness.core.certify.run_cases import cases_of_run
from harness.core.plugins import registry
from harness.core.reference.training import NumpyBackend, NumpyProgram
from harness.testing.kit import InProcessExaminer


class Mistaken(NumpyBackend):
    """Plain NumPy with a mistake in the steps that it is given, in how it makes them, or in its task."""

    name = "mistaken"

    def __init__(
        self, change=lambda steps: steps, private=NumpyProgram._private_step, task=lambda task: task
    ):
        self._change, self._private, self._task = change, private, task

    def build(self, plan, data):
        program = NumpyProgram(self._task(plan.task), data)
        train = program.train
        program.train = lambda steps: train(self._change(steps))
        program._private_step = functools.partial(self._private, program)
        return program


def without_noise(program, inputs, targets, _noise, rate):
    return NumpyProgram._private_step(program, inputs, targets, {}, rate)


def noise_without_the_clip(program, inputs, targets, noise, rate):
    smaller = {name: array / program._task.privacy.clip for name, array in noise.items()}
    return NumpyProgram._private_step(program, inputs, targets, smaller, rate)


def divided_by_the_drawn_samples(program, inputs, targets, noise, rate):
    larger = rate * program._task.batch_size / max(1, len(inputs))
    return NumpyProgram._private_step(program, inputs, targets, noise, larger)


def without_clip(task):
    """A clip that no gradient reaches, and the noise of before."""
    if (privacy := task.privacy) is None:
        return task
    noise = privacy.noise * privacy.clip / 1e6
    return msgspec.structs.replace(task, privacy=msgspec.structs.replace(privacy, clip=1e6, noise=noise))


WITHOUT_NOISE = Mistaken(private=without_noise)
UNSCALED_NOISE = Mistaken(private=noise_without_the_clip)
WITHOUT_CLIP = Mistaken(task=without_clip)


ALONE = Selection(frozenset({PRIVATE_CASE}))


def _private_finding(backend, task="mlp", chosen=ALONE):
    found = examine(InProcessExaminer(backend, "plain", 1), registry.task(task), chosen)
    return next(outcome for case, outcome in found if case.name == PRIVATE_CASE)


def _private_case(task="mlp"):
    return next(case for case in cases(registry.task(task)) if case.name == PRIVATE_CASE)


def _programs(backend):
    return TrialPrograms(backend, "plain", 1)


def test_the_reference_is_that_of_plain_numpy():
    assert _private_finding(NumpyBackend()).worst < 1e-12
    assert _private_finding(NumpyBackend(), "tabular").worst < 1e-12


@pytest.mark.parametrize(
    "backend",
    [WITHOUT_NOISE, UNSCALED_NOISE, WITHOUT_CLIP, Mistaken(private=divided_by_the_drawn_samples)],
)
def test_a_mistake_deviates(backend):
    assert not _private_finding(backend).passed


def _in_turn(steps):
    """Batches of a fixed size without replacement, in place of those that were drawn."""
    rows = np.arange(steps.indices.shape[1])
    return dataclasses.replace(
        steps,
        indices=np.tile(rows, (len(steps.indices), 1)),
        included=np.tile(rows < 8, (len(steps.indices), 1)),
    )


def _all_rows(steps):
    """Everything in the batch, padding too, as if the sampling rate were higher."""
    return dataclasses.replace(steps, included=np.ones_like(steps.included))


@pytest.mark.parametrize("change", [_in_turn, _all_rows])
def test_other_samples_than_those_drawn_deviate(change):
    backend = Mistaken(lambda steps: change(steps) if steps.included is not None else steps)
    assert not _private_finding(backend).passed


def test_the_own_noise_of_a_right_program_passes_and_its_audit_stays_below_the_claim():
    tests = noise_tests(_programs(NumpyBackend()), _private_case("tabular"))
    assert tests.faults == []
    assert 0.3 < tests.bound < tests.claimed
    finding = examine_noise(InProcessExaminer(NumpyBackend(), "plain", 1), registry.task("tabular"))
    assert finding.passed
    assert f"epsilon is at least {tests.bound:.2f}, claimed 1.99" in finding.note


def _seeds(change):
    def changed(steps):
        if steps.noise_seeds is None or steps.noise is not None:
            return steps
        return dataclasses.replace(steps, noise_seeds=change(steps.noise_seeds))

    return changed


@pytest.mark.parametrize(
    ("backend", "fault"),
    [
        (WITHOUT_NOISE, "lacks its noise"),
        (UNSCALED_NOISE, "times as large"),
        (Mistaken(_seeds(np.zeros_like)), "the same in every step"),
        (Mistaken(_seeds(lambda _: np.random.default_rng().integers(2**31, size=(1, 2)))), "noise_seeds"),
    ],
)
def test_wrong_noise_of_its_own_is_found_by_statistics(backend, fault):
    (found,) = wrong_noise(_programs(backend), _private_case().task)
    assert fault in found


@pytest.mark.parametrize("backend", [WITHOUT_NOISE, UNSCALED_NOISE, WITHOUT_CLIP])
def test_the_audit_refutes_a_claim_that_is_wrong(backend):
    assert audit_canaries(_programs(backend)).epsilon > gaussian_epsilon(AUDIT_PRIVACY)


class _Lengthening(Mistaken):
    """Brings all gradients to the length of the clip, also shorter ones."""

    def build(self, plan, data):
        program = super().build(plan, data)
        gradients_of = program._gradients

        def lengthened_gradients(inputs, targets):
            loss, gradients, state = gradients_of(inputs, targets)
            norm = np.sqrt(sum((g**2).sum() for g in gradients.values()))
            longer = {name: g * plan.task.privacy.clip / norm for name, g in gradients.items()}
            return loss, longer, state

        program._gradients = lengthened_gradients
        return program


def test_gradients_shorter_than_the_clip_stay_as_they_are():
    assert lengthened(_programs(NumpyBackend())) == []
    assert "shorter than the clip" in lengthened(_programs(_Lengthening()))[0]


def test_a_backend_without_gradients_of_samples_is_not_asked():
    backend = Mistaken()
    backend.sample_gradients = False
    assert _private_finding(backend, "tabular", Selection()) == NotOffered(PRIVATE_CASE, PRIVATE)


def test_the_noise_is_part_of_the_certificate_of_a_private_run():
    definition = registry.task("mlp")
    names = cases_of_run(definition, _private_case().task, "float32", long_calls=False)
    assert {PRIVATE_CASE, NOISE} <= names
