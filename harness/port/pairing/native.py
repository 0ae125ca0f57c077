"""Two models of the user's own, of one architecture in two frameworks, as one native layer."""

from collections.abc import Iterable, Mapping

import msgspec
import numpy as np

from harness.core.models.reading import OwnModel, free_name, is_whole, layer_of, native_array, same_place
from harness.errors import UsageError
from harness.layers import Native, NativeArray
from harness.port.pairing.matching import Matching, match
from harness.port.pairing.names import NameMap, refuse_unknown
from harness.tracing import semantics as kinds
from harness.tracing.calls import InputShape, Stored

_NAMED = 3
_HINT = "`harness port` shows what differs"


def native_pair(a: OwnModel, b: OwnModel, shape: InputShape, names: NameMap) -> Native:
    """Return the layer of both models, with the names of A. ``names`` are pairs that the user gives."""
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
    """Return the arrays that both models have, each once."""
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
    """Leave out parts of arrays that every framework stores as a whole, such as fused projections."""
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
    """List A's running variances that one model divides by n and the other by n - 1."""
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
    """Check that ``arrays`` do not hold the numbers of this pair yet."""
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
    """Refuse trained parameters and running statistics that the other model does not have."""
    statistics = {name for name, array in model.trained.state_after.items() if np.size(array) > 1}
    changing = statistics.union(model.described.trained)
    lonely = [name for name in model.described.parameters if name in changing - paired]
    if lonely:
        names = ", ".join(lonely[:_NAMED]) + (" …" if len(lonely) > _NAMED else "")
        raise UsageError(
            f"{model.spec.target} has parameters that the other model lacks ({names}), so they do not train "
            f"the same; {_HINT}"
        )
