"""A model of the user's own as a native layer: names of its arrays, and where its code holds them."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec
import numpy as np

from harness.core.models.messages import Built, Description
from harness.core.models.remote_side import RemoteSide
from harness.core.models.task_file import NameMap, refuse_unknown
from harness.errors import UsageError
from harness.layers import Native, NativeArray, NativeModel
from harness.port import values
from harness.port.findings import SideSpec
from harness.port.matching import Matching, match, uses
from harness.tracing import semantics as kinds
from harness.tracing.calls import Call, InputShape, Stored, Trace

# The floating-point operations of a traced evaluation.


def flops(trace: Trace) -> int:
    """FLOPs of one sample: two for each multiply-add of the products whose calls are known."""
    return sum(_flops_of(call, trace) for call in trace.calls)


def _flops_of(call: Call, trace: Trace) -> int:
    output = trace.values[call.outputs[0]].array
    positions = math.prod(output.shape[1:])
    if "kernel" not in call.parameters:
        return 0
    shape = trace.parameters_of(call)["kernel"].shape
    match call.does:
        case kinds.Convolution(transposed=True):
            source = trace.values[call.inputs[0]].array
            return int(2 * math.prod(source.shape[1:]) * math.prod(shape[:-2]) * shape[-1])
        case kinds.Convolution() | kinds.Linear():
            return int(2 * positions * math.prod(shape[:-1]))
        case _:
            return 0


# A model of the user's own as a task needs it: its parameters, and an evaluation in each mode.

_BATCH = 2


class OwnModel(NamedTuple):
    """What is known of one model: how it was made, its parameters, and an evaluation in each mode."""

    spec: SideSpec
    built: Built
    described: Description
    evaluated: Trace
    trained: Trace

    @property
    def drops(self) -> bool:
        """Whether it drops values in training."""
        known = (call.does for call in self.trained.calls if isinstance(call.does, kinds.Dropout))
        return self.built.draws or any(does.active for does in known)


def read_model(spec: SideSpec, shape: InputShape, threads: int, timeout_seconds: float | None) -> OwnModel:
    """Make a model and evaluate it, within this time if there is a limit, in a process of its own.

    Raises:
        UsageError: it cannot be made or evaluated, or has more than one output.
    """
    with RemoteSide(spec.target, threads, timeout_seconds, limit_each=False) as side:
        built = side.build(spec.arguments, [shape])
        described = side.describe()
        inputs = values.inputs([shape], _BATCH)
        evaluated, trained = (side.trace(inputs, training=training) for training in (False, True))
        own = OwnModel(spec, built, described, evaluated, trained)
    if len(evaluated.outputs) != 1:
        raise UsageError(f"{spec.target} has {len(evaluated.outputs)} outputs; a task needs one")
    return own


def native_layer(model: OwnModel, shape: InputShape) -> Native:
    """The layer of one model: arrays are named by path and role where a known call uses them."""
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
            roles = {each for _, each, _ in parts}  # parts that overlap or leave a gap: the array as it is
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
    """The layer of models that hold these arrays; what is trained is what the first one trains."""
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
    )


def same_place(one: Stored, other: Stored) -> bool:
    """Whether both are the same numbers, as those of an embedding and of an output layer that share them."""
    return one.name == other.name and (one.axis, one.start, one.stop) == (other.axis, other.start, other.stop)


def is_whole(stored: Stored) -> bool:
    """Whether this is all of what is stored under its name."""
    return stored.axis is None and not stored.stop


def divide(parts: Sequence[Stored], shape: Sequence[int]) -> bool:
    """Whether these parts of an array follow each other along one axis, and are all of it."""
    ordered = sorted(parts, key=lambda part: part.start)
    axis = ordered[0].axis
    if any(is_whole(part) or part.axis != axis for part in ordered):
        return False
    length = math.prod(shape) if axis is None else shape[axis]
    return [part.start for part in ordered] + [length] == [0, *(part.stop for part in ordered)]


def free_name(name: str, taken: Mapping[str, object]) -> str:
    """The name, with a number if it is taken."""
    names = [name, *(f"{name}_{number}" for number in range(2, len(taken) + 3))]
    return next(each for each in names if each not in taken)


def native_array(
    name: str, canonical: np.ndarray, stored: dict[str, Stored], *, shared: bool = True
) -> NativeArray:
    """The array with initial values like these."""
    return NativeArray(name, canonical.shape, _initial(canonical), stored, shared)


def _initial(array: np.ndarray) -> float | Literal["zeros", "ones"]:
    """The standard deviation, or the constant."""
    spread = float(array.std())
    if spread == 0.0 and array.size:
        first = float(array.flat[0])
        if first in {0.0, 1.0}:
            return "ones" if first else "zeros"
        return abs(first)
    return spread


# Two models of the user's own, of one architecture in two frameworks, as one native layer.

_NAMED = 3
_HINT = "`harness port` shows what differs"


def native_pair(a: OwnModel, b: OwnModel, shape: InputShape, names: NameMap) -> Native:
    """The layer of both; arrays are named as those of A. ``names`` are pairs that the user gives.

    Raises:
        UsageError: both are of one framework, a parameter of one has no counterpart in the other, or the user
            names a parameter that there is not.
    """
    if a.built.plugin == b.built.plugin:
        raise UsageError(
            f"{a.spec.target} and {b.spec.target} are both models of {a.built.plugin}, and a pair is of two "
            "frameworks; `harness port` compares them, and `harness gate` times two versions of a model"
        )
    refuse_unknown(names, set(a.described.parameters), set(b.described.parameters))
    arrays = _arrays(a, b, match(a.evaluated, b.evaluated, names))
    for model in (a, b):
        _refuse_lonely(model, {array.stored[model.built.plugin].name for array in arrays.values()})
    layer = layer_of([a, b], shape, arrays)
    trained = {array.stored[b.built.plugin].name for array in layer.trained}
    frozen = trained.symmetric_difference(set(b.described.trained))
    if frozen:
        raise UsageError(f"{min(frozen)} of {b.spec.target} is trained in one of the models only")
    return layer


def _arrays(a: OwnModel, b: OwnModel, matching: Matching) -> dict[str, NativeArray]:
    """The arrays that both have, each once."""
    arrays: dict[str, NativeArray] = {}
    variances = _unshared_variances(matching, a, b)
    for of_a, of_b, role, use, _ in matching.arrays():
        path = of_a.name if use is None else use.path or use.kind
        name = "/".join([path.replace(".", "/"), *[role] * bool(role)])
        canonical = of_a.canonical(a.described.parameters[of_a.name])
        other = of_b.canonical(b.described.parameters[of_b.name])
        if other.size == canonical.size and _is_new(of_a, of_b, (a, b), arrays.values()):
            if other.shape != canonical.shape:  # a dense layer, and a convolution of size 1
                of_b = msgspec.structs.replace(of_b, final_shape=canonical.shape)  # noqa: PLW2901
            free, shared = free_name(name, arrays), of_a not in variances
            stored = {a.built.plugin: of_a, b.built.plugin: of_b}
            arrays[free] = native_array(free, canonical, stored, shared=shared)
    return _without_parts_of_others(arrays)


def _without_parts_of_others(arrays: Mapping[str, NativeArray]) -> dict[str, NativeArray]:
    """The arrays without parts of what is there as a whole in every framework, such as fused projections."""
    wholes = {
        (plugin, stored.name)
        for array in arrays.values()
        for plugin, stored in array.stored.items()
        if is_whole(stored)
    }
    return {
        name: array
        for name, array in arrays.items()
        if any(
            is_whole(stored) or (plugin, stored.name) not in wholes for plugin, stored in array.stored.items()
        )
    }


def _unshared_variances(matching: Matching, a: OwnModel, b: OwnModel) -> list[Stored]:
    """Where A stores the running variances that one model divides by n and the other by n - 1."""
    found = []
    for pair in matching.pairs:
        match a.evaluated.calls[pair.a.place].does, b.evaluated.calls[pair.b.place].does:
            case kinds.BatchNormalization() as one, kinds.BatchNormalization() as other:
                if one.unbiased_running_variance != other.unbiased_running_variance:
                    found.append(pair.a.parameters["running_variance"])
    return found


def _is_new(
    of_a: Stored, of_b: Stored, models: tuple[OwnModel, OwnModel], arrays: Iterable[NativeArray]
) -> bool:
    """Whether no pair holds these numbers yet.

    Raises:
        UsageError: one model uses an array twice where the other has two.
    """
    a, b = models
    for array in arrays:
        in_a = same_place(of_a, array.stored[a.built.plugin])
        in_b = same_place(of_b, array.stored[b.built.plugin])
        if in_a != in_b:
            once, twice = (a, b) if in_b else (b, a)
            name = (of_b if in_b else of_a).name
            raise UsageError(
                f"{twice.spec.target} uses {name} twice where {once.spec.target} has two arrays; {_HINT}"
            )
        if in_a:
            return False
    return True


def _refuse_lonely(model: OwnModel, paired: set[str]) -> None:
    """Refuse trained parameters and running statistics that the other model does not have.

    Raises:
        UsageError: names the first ones.
    """
    statistics = {name for name, array in model.trained.state_after.items() if np.size(array) > 1}
    changing = statistics.union(model.described.trained)
    lonely = [name for name in model.described.parameters if name in changing - paired]
    if lonely:
        names = ", ".join(lonely[:_NAMED]) + (" …" if len(lonely) > _NAMED else "")
        raise UsageError(
            f"{model.spec.target} has parameters that the other model lacks ({names}), so they do not train "
            f"the same; {_HINT}"
        )
