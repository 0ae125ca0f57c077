"""One model of the user's own as a task needs it: its parameters, an evaluation in each mode, its layer."""

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np

from harness.core.models.messages import Built, Description
from harness.core.models.remote_side import RemoteSide
from harness.core.models.traced import flops, uses
from harness.errors import UsageError, unknown_name
from harness.layers import Native, NativeArray, NativeModel
from harness.tracing import semantics as kinds
from harness.tracing.calls import InputShape, Stored, Trace
from harness.tracing.user_code import is_file, split_target


class SideSpec(msgspec.Struct, frozen=True):
    """A model: ``FILE.py:CALLABLE`` or ``package.module:CALLABLE``, and the arguments of the callable."""

    target: str
    arguments: dict[str, Any] = {}


_BATCH, _THREADS = 2, 1


class OwnModel(NamedTuple):
    """One model: its process's reply, its parameters, and a traced evaluation in each mode."""

    spec: SideSpec
    built: Built
    described: Description
    evaluated: Trace
    trained: Trace

    @property
    def drops(self) -> bool:
        """Whether the model drops values in training."""
        known = (call.does for call in self.trained.calls if isinstance(call.does, kinds.Dropout))
        return self.built.draws or any(does.active for does in known)


def random_inputs(shapes: Sequence[InputShape], batch: int, seed: int = 0) -> list[np.ndarray]:
    """Draw an array for each of ``shapes``: standard normal numbers, or integers below the maximum."""
    rng = np.random.default_rng([seed, batch])
    return [shape.sample(rng, batch) for shape in shapes]


def read_model(
    spec: SideSpec, shape: InputShape, timeout_seconds: float | None, phase: Callable[[str], None]
) -> OwnModel:
    """Make the model ``spec`` in a process of its own, and evaluate it on inputs of ``shape``.

    All of it may take ``timeout_seconds``, if given; ``phase`` is called with the phase that begins.
    """
    with _side(spec.target, timeout_seconds) as side:
        return _read(side, spec, shape, phase)


def _side(target: str, timeout_seconds: float | None) -> RemoteSide:
    return RemoteSide(target, _THREADS, timeout_seconds, limit_each=False)


def _read(side: RemoteSide, spec: SideSpec, shape: InputShape, phase: Callable[[str], None]) -> OwnModel:
    """Make and evaluate the model ``spec`` in the process of ``side``, which has made none."""
    chosen = ", ".join(f"{name}={value}" for name, value in spec.arguments.items())
    phase(f"making and evaluating {spec.target}" + (f" with {chosen}" if chosen else ""))
    built = side.build(spec.arguments, [shape])
    described = side.describe()
    inputs = random_inputs([shape], _BATCH)
    evaluated, trained = (side.trace(inputs, training=training) for training in (False, True))
    if len(evaluated.outputs) != 1:
        raise UsageError(f"{spec.target} has {len(evaluated.outputs)} outputs; a task needs one")
    returned = evaluated.values[evaluated.outputs[0]].array.shape
    if returned[:1] != (_BATCH,):
        raise UsageError(
            f"{spec.target} returns an output of shape {returned} for {_BATCH} samples; expected a row for "
            f"each sample, ({_BATCH}, outputs)"
        )
    return OwnModel(spec, built, described, evaluated, trained)


class Variant(NamedTuple):
    """A model with one choice of its arguments; ``arguments`` also has those that are at their defaults."""

    model: OwnModel
    arguments: dict[str, Any]


def _short(target: str) -> str:
    """Return a target without the folders of its file."""
    place, name = split_target(target)
    return f"{Path(place).name}:{name}" if is_file(target) else target


def read_variants(
    targets: Sequence[str],
    given: Mapping[str, Sequence[str]],
    shape: InputShape,
    timeout_seconds: float | None,
    phase: Callable[[str], None],
) -> list[list[Variant]]:
    """Make each model with every combination of the values ``given`` to its arguments, as texts.

    A combination has a process of its own, because frameworks number the layers of a process.
    """
    with contextlib.ExitStack() as stack:
        phase(f"reading {', '.join(targets)}")
        first = [stack.enter_context(_side(target, timeout_seconds)) for target in targets]
        signatures = [side.inspect() for side in first]
        if unknown := [name for name in given if not any(each.argument(name) for each in signatures)]:
            known = dict.fromkeys(each.name for signature in signatures for each in signature.arguments)
            owners = " and ".join(map(_short, targets))
            if not known:
                raise UsageError(f"{owners} takes no arguments; leave out --set-model {unknown[0]}")
            raise unknown_name("argument", unknown[0], known, owner=owners)
        pairs = zip(signatures, targets, strict=True)
        chosen = [[*signature.combinations(target, given)] for signature, target in pairs]
        variants = []
        for target, side, signature, combinations in zip(targets, first, signatures, chosen, strict=True):
            read = []
            for place, arguments in enumerate(combinations):
                own = _side(target, timeout_seconds) if place else contextlib.nullcontext(side)
                with own as asked:
                    model = _read(asked, SideSpec(target, arguments), shape, phase)
                read.append(Variant(model, signature.options(arguments)))
            variants.append(read)
    return variants


def native_layer(model: OwnModel, shape: InputShape) -> Native:
    """Return ``model`` as a layer; arrays are named by path and role where a known call uses them."""
    plugin, parameters = model.built.plugin, model.described.parameters
    named: list[tuple[str, str, Stored]] = []
    for use in uses(model.evaluated):
        path = use.path.replace(".", "/") or use.kind
        for role, stored in use.parameters.items():
            if not any(same_place(stored, other) for _, _, other in named):
                named.append((path, role, stored))
    arrays: dict[str, NativeArray] = {}

    def add(name: str, stored: Stored) -> None:
        name = free_name(name, arrays)
        arrays[name] = native_array(name, stored.canonical(parameters[stored.name]), {plugin: stored})

    for path, role, stored in named:
        parts = [each for each in named if each[2].name == stored.name]
        if is_whole(stored) or divide([part for _, _, part in parts], parameters[stored.name].shape):
            add(f"{path}/{role}", stored)
        elif parts[0][2] is stored and not any(is_whole(part) for _, _, part in parts):
            roles = {each for _, each, _ in parts}  # parts that overlap or leave a gap: the whole array
            add(
                "/".join([stored.name.replace(".", "/"), *(roles if len(roles) == 1 else ())]),
                Stored(stored.name),
            )
    used = {array.stored[plugin].name for array in arrays.values()}
    for name, parameter in parameters.items():
        if name not in used and parameter.dtype.kind == "f":
            add(name.replace(".", "/"), Stored(name))
    return layer_of([model], shape, arrays)


def layer_of(models: Sequence[OwnModel], shape: InputShape, arrays: Mapping[str, NativeArray]) -> Native:
    """Return the layer of ``models`` with ``arrays``; it trains the arrays that the first model trains."""
    first = models[0]
    output = first.evaluated.values[first.evaluated.outputs[0]].array
    trained = set(first.described.trained)
    learned = {name for name, array in arrays.items() if array.stored[first.built.plugin].name in trained}
    return Native(
        models=tuple(
            NativeModel(each.built.plugin, each.spec.target, each.spec.arguments) for each in models
        ),
        trained=tuple(array for name, array in arrays.items() if name in learned),
        held=tuple(array for name, array in arrays.items() if name not in learned),
        outputs=output.shape[1:],
        vocabulary=shape.maximum if shape.integer else None,
        flops=flops(first.evaluated) or None,
        dropout="active" if any(model.drops for model in models) else "none",
        own_initial=first.built.seeded and len(models) == 1,  # two frameworks cannot share theirs
    )


def same_place(one: Stored, other: Stored) -> bool:
    """Check that both are the same numbers, as where an embedding and an output layer share them."""
    return one.name == other.name and (one.axis, one.start, one.stop) == (other.axis, other.start, other.stop)


def is_whole(stored: Stored) -> bool:
    """Check that ``stored`` is the whole array of its name."""
    return stored.axis is None and not stored.stop


def divide(parts: Sequence[Stored], shape: Sequence[int]) -> bool:
    """Check that ``parts`` of an array of ``shape`` follow each other along one axis and cover it."""
    ordered = sorted(parts, key=lambda part: part.start)
    axis = ordered[0].axis
    if any(is_whole(part) or part.axis != axis for part in ordered):
        return False
    length = math.prod(shape) if axis is None else shape[axis]
    return [part.start for part in ordered] + [length] == [0, *(part.stop for part in ordered)]


def free_name(name: str, taken: Mapping[str, object]) -> str:
    """Return ``name``, with a number if it is taken."""
    names = [name, *(f"{name}_{number}" for number in range(2, len(taken) + 3))]
    return next(each for each in names if each not in taken)


def native_array(
    name: str, canonical: np.ndarray, stored: dict[str, Stored], *, shared: bool = True
) -> NativeArray:
    """Return an array whose initial values have the distribution of ``canonical``."""
    return NativeArray(name, canonical.shape, _initial(canonical), stored, shared)


def _initial(array: np.ndarray) -> float | Literal["zeros", "ones"]:
    """Return the standard deviation of ``array``, or its constant."""
    spread = float(array.std())
    if spread == 0.0 and array.size:
        first = float(array.flat[0])
        if first in {0.0, 1.0}:
            return "ones" if first else "zeros"
        return abs(first)
    return spread
