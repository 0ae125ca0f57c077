"""An optimizer of the user's own: a transformation of gradients in the form of optax."""

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol, runtime_checkable

import jax
from jax import numpy as jnp

from harness.backend_support import feeding
from harness.layers import Native
from harness.spec import Adversarial, ConstantRate, Schedule, Task, Unsupported
from harness.spec.backend import Precision
from harness.tracing.user_code import described, own_callable
from harness_jax.layers import Weights
from harness_jax.native import native_models, shared

#: Where :func:`optax.inject_hyperparams` keeps a rate that may be set, and the state of one that sets itself.
_RATE, _SCHEDULE = ("hyperparams", "learning_rate"), ("hyperparams_states", "learning_rate")


@runtime_checkable
class GradientTransformation(Protocol):
    """What optax calls by this name; its wrappers, such as ``MultiSteps``, are other classes with both."""

    init: Callable[..., Any]
    update: Callable[..., Any]


class Memory(NamedTuple):
    """The state of the optimizer, and the rates in it by their paths, as the user's code sets them."""

    rates: dict[str, jax.Array]
    state: Any


class OwnOptimizer:
    """The user's optimizer of the network ``model``, for its parameters by name.

    The optimizer sees the parameters of a model of the user's own in the structure of that model.
    """

    def __init__(self, task: Task, make: Callable[[], Any], precision: Precision) -> None:
        if isinstance(task.objective, Adversarial) or task.privacy is not None:
            raise Unsupported("in JAX your own optimizer trains one network by the gradient of a batch")
        self._target = task.own_code.optimizer if task.own_code else ""
        self._made: GradientTransformation = feeding.made_optimizer(
            self._target, make, GradientTransformation
        )
        network = task.networks["model"]
        places = [*network.leaves()]
        own = [place for place in places if isinstance(place.layer, Native)]
        self._prefix = f"{own[0].name}/" if len(own) == len(places) == 1 else ""
        models = native_models(network, precision) if self._prefix else {}
        self._model = models[own[0].name] if models else None

    def _tree(self, arrays: Weights) -> Any:
        if self._model is None:
            return dict(arrays)
        return self._model.tree({name.removeprefix(self._prefix): each for name, each in arrays.items()})

    def _by_name(self, tree: Any) -> dict[str, jax.Array]:
        if self._model is None:
            return dict(tree)
        return {self._prefix + name: each for name, each in self._model.by_name(tree).items()}

    def init(self, parameters: Weights) -> Memory:
        """Return the memory before the first step from these ``parameters``; it shares no array with them."""
        tree = self._tree(parameters)
        try:
            state = self._made.init(tree)
            # Updates may widen types: compiled code must find the same types at each step.
            _, after = jax.eval_shape(self._made.update, tree, state, tree)
            state = jax.tree.map(lambda each, like: jnp.array(each, like.dtype), state, after)
        except Exception as error:
            raise Unsupported(f"{self._target} cannot update the model: {described(error)}") from error
        leaves = jax.tree_util.tree_leaves_with_path(state)
        if any(_ends(path, _SCHEDULE) for path, _ in leaves):
            return Memory({}, state)
        return Memory(
            {jax.tree_util.keystr(path): jnp.array(leaf) for path, leaf in leaves if _ends(path, _RATE)},
            state,
        )

    def require_rate(self, memory: Memory, schedule: Schedule) -> None:
        """Check that a ``schedule`` can set the rates."""
        if schedule != ConstantRate() and not memory.rates:
            raise Unsupported(
                f"{self._target} exposes no learning rate that a schedule can set: make it by "
                "optax.inject_hyperparams with a number, such as inject_hyperparams(optax.adam)(0.01)"
            )

    def updated(
        self, parameters: Weights, gradients: Weights, memory: Memory, factor: jax.Array
    ) -> tuple[dict[str, jax.Array], Memory]:
        """Compute the parameters and the memory after a step at ``factor`` times the optimizer's rates."""

        def at_rate(path: Any, leaf: jax.Array) -> jax.Array:
            own = memory.rates.get(jax.tree_util.keystr(path))
            return leaf if own is None else (own * factor).astype(leaf.dtype)

        tree = self._tree(parameters)
        state = jax.tree_util.tree_map_with_path(at_rate, memory.state)
        updates, state = self._made.update(self._tree(gradients), state, tree)
        tree = jax.tree.map(lambda each, update: (each + update).astype(each.dtype), tree, updates)
        return self._by_name(tree), Memory(memory.rates, state)


def _ends(path: tuple[Any, ...], names: tuple[str, str]) -> bool:
    """Check that the last two named keys of a path of a tree are these; what follows may be nested."""
    keys = [getattr(key, "name", getattr(key, "key", None)) for key in path]
    return any(tuple(pair) == names for pair in itertools.pairwise(keys))


@shared
def own_optimizer(task: Task, precision: Precision) -> OwnOptimizer | None:
    """Return the user's optimizer in a task, the same object for the same task; None without one."""
    make = feeding.own_part(task, "optimizer", own_callable)
    return None if make is None else OwnOptimizer(task, make, precision)
