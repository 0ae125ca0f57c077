"""Certification cases: each builds programs of its own, beside that of the worker."""

import functools

from harness.spec.backend import Backend
from harness.testing.dropout import dropout_tests
from harness.testing.long_calls import observe_calls
from harness.testing.observation import observe, observe_losses
from harness.testing.trial_programs import TrialPrograms
from harness.worker import protocol

Examination = protocol.Observe | protocol.ObserveLosses | protocol.ObserveCalls | protocol.TestDropout


@functools.singledispatch
def examine(request: object, backend: Backend) -> protocol.Reply:
    """Carry out a case with a backend; each kind of case has a function below."""
    raise TypeError(f"unknown case: {request!r} of {backend.name}")


@examine.register
def _(request: protocol.Observe, backend: Backend) -> protocol.Observed:
    observation = observe(backend, request.mode, request.device, request.threads, request.case)
    return protocol.Observed(observation)


@examine.register
def _(request: protocol.ObserveLosses, backend: Backend) -> protocol.ObservedLosses:
    losses = observe_losses(
        backend, request.mode, request.device, request.threads, request.case, request.precision
    )
    return protocol.ObservedLosses(losses)


@examine.register
def _(request: protocol.ObserveCalls, backend: Backend) -> protocol.ObservedCalls:
    observation = observe_calls(backend, request.mode, request.device, request.threads, request.case)
    return protocol.ObservedCalls(observation)


@examine.register
def _(request: protocol.TestDropout, backend: Backend) -> protocol.DropoutTested:
    programs = TrialPrograms(backend, request.mode, request.threads, request.device)
    return protocol.DropoutTested(dropout_tests(programs, request.case))
