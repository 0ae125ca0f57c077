"""How the functions are read that ``keras.ops`` consists of, by the names that they have in every engine.

A reading records one call of a function, perhaps as several, and returns its result; it returns
NotImplemented where the arguments make it another function.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from keras import tree

from harness.tracing import semantics as kinds
from harness.tracing.calls import Stored
from harness_keras.port.recorder import Recorder, is_array

Tensor = Any

#: Functions that compute nothing: nobody needs to know that they were called.
PASSIVE = frozenset({
    "shape", "is_tensor", "convert_to_numpy", "ndim", "size", "device_scope", "compute_output_spec",
    "random_seed_dtype", "custom_gradient", "remat", "cond", "switch", "while_loop", "fori_loop", "scan",
    "map", "vectorized_map", "associative_scan", "enable_numpy", "get_device", "to_torch_dtype",
    "standardize_dtype", "standardize_tuple", "result_type", "in_stateless_scope", "get_stateless_scope",
    "any_symbolic_tensors",
})  # fmt: skip


@dataclass(frozen=True)
class Called:
    """A function that is being called with ``arguments``, by name; ``original`` computes it."""

    recorder: Recorder
    function: str
    arguments: dict[str, Any]
    original: Callable[..., Any]

    def __getitem__(self, name: str) -> Any:
        return self.arguments[name]

    @property
    def x(self) -> Tensor:
        """The first argument."""
        return next(iter(self.arguments.values()))

    def record(
        self, does: kinds.AnySemantics, *names: str, parameters: dict[str, Stored] | None = None
    ) -> Any:
        """Record one call; its inputs are these arguments, by default the first one."""
        names = names or (next(iter(self.arguments)),)
        given = {name: self.arguments[name] for name in names}
        inputs = [tensor for tensor in tree.flatten(given) if is_array(tensor)]

        def compute(*tensors: Tensor) -> Any:
            left = iter(tensors)
            changed = tree.map_structure(lambda each: next(left) if is_array(each) else each, given)
            return self.original(**{**self.arguments, **changed})

        return self.recorder.call(self.function, does, inputs, compute, parameters)

    def again(self, **changed: Any) -> Any:
        """The function's result, with some arguments changed, not recorded."""
        return self.original(**{**self.arguments, **changed})


Reading = Callable[[Called], Any]
FUNCTIONS: dict[str, Reading] = {}


def reads(*names: str) -> Callable[[Reading], Reading]:
    """Make a function the reading of the functions with these names."""

    def register(reading: Reading) -> Reading:
        FUNCTIONS.update(dict.fromkeys(names, reading))
        return reading

    return register
