"""Runs of models of the user's own: names of models, and the proof that those of two frameworks need."""

import itertools
import shlex
from collections.abc import Iterable
from pathlib import Path

from harness.core.plugins.options import value_text
from harness.core.runs.record import Record
from harness.layers import Native
from harness.tracing.user_code import is_file, split_target


def own_model(record: Record) -> Native | None:
    """Return the layer that is the user's own model; None in a task without one."""
    networks = record.task.description.networks.values()
    return next(
        (layer for network in networks for layer in network.layers if isinstance(layer, Native)), None
    )


def arguments(record: Record) -> tuple[str, ...]:
    """Return the names of the task's options that are arguments of the user's own model."""
    layer = own_model(record)
    return layer.options if layer is not None else ()


def is_alone(record: Record) -> bool:
    """Check that the run trains a model that is written for one framework, so that nothing can certify it."""
    layer = own_model(record)
    return layer is not None and len(layer.models) == 1


def model_text(record: Record) -> str | None:
    """Return the model's name and its arguments that are not at their defaults: ``net width=64``."""
    layer = own_model(record)
    if layer is None:
        return None
    given, options = layer.models[0].arguments, record.task.options
    named = [name if name in given else f"model_{name}" for name in given]
    chosen = [f"{name}={value_text(options[name])}" for name in named if name in options]
    return " ".join([record.task.name, *chosen])


def proof_sentences(records: Iterable[Record]) -> list[str]:
    """State which models of two frameworks are not ranked, with the command that proves them equal."""
    return [
        f"{one} and {other} are not ranked: nothing proves that they are the same model. Prove it: {command}"
        for (one, other), command in proof_commands(records).items()
    ]


def proof_commands(records: Iterable[Record]) -> dict[tuple[str, str], str]:
    """Return, by the two models, the command that proves those of two frameworks to be the same.

    Models are those that are written for one framework, on the same data; the first of each framework.
    """
    first: dict[tuple[str | None, str], Record] = {}
    for record in sorted(records, key=lambda record: record.started_at):
        if is_alone(record):
            first.setdefault((record.dataset.fingerprint, record.configuration.backend), record)
    pairs = itertools.combinations(first.items(), 2)
    return {
        (model_text(ours) or "", model_text(theirs) or ""): _proof(ours, theirs)
        for ((data, _), ours), ((other_data, _), theirs) in pairs
        if data == other_data
    }


def _proof(*pair: Record) -> str:
    command, options = ["harness", "port"], []
    for record, side in zip(pair, ("--set-a", "--set-b"), strict=True):
        layer = own_model(record)
        assert layer is not None  # noqa: S101  for the type checker
        (model,) = layer.models
        command.append(_short(model.target))
        options += [text for name, value in model.arguments.items() for text in (side, f"{name}={value}")]
    return shlex.join([*command, *options, "--dataset", pair[0].dataset.name, "--save-task", "pair.py"])


def _short(target: str) -> str:
    """Return the target with the path of its file from the current folder, where that is in it."""
    place, name = split_target(target)
    if is_file(target) and Path(place).is_relative_to(Path.cwd()):
        return f"{Path(place).relative_to(Path.cwd())}:{name}"
    return target
