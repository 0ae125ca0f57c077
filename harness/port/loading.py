"""The user's own code: a callable in a file or a module, called for a model."""

import importlib.metadata
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from harness.errors import UsageError
from harness.tracing.side import InputShape, OwnTraining, Side, SidePlugin
from harness.tracing.user_code import call_user, split_target, user_callable, user_module

#: The names of a file's own optimizer and loss.
MAKE_OPTIMIZER, MAKE_LOSS = "make_optimizer", "make_loss"


class LoadedSide(NamedTuple):
    """A side, the user's own training, and the name of the plugin that made the side."""

    side: Side
    own: OwnTraining
    plugin: str


def load_side(target: str, arguments: Mapping[str, Any], shapes: Sequence[InputShape]) -> LoadedSide:
    """The side that a target gives, ``FILE.py:NAME`` or ``package.module:NAME``.

    Raises:
        UsageError: there is no such callable, it needs other arguments, it raised, or it returned something
            that is no model of a known framework.
    """
    place, name = split_target(target)
    module = user_module(place)
    factory = user_callable(module, name, place)
    plugins = _plugins()
    for framework, plugin in plugins.items():
        if _is_imported(framework):
            plugin.prepare()
    built = call_user(factory, target, arguments)
    own = OwnTraining(getattr(module, MAKE_OPTIMIZER, None), getattr(module, MAKE_LOSS, None))
    for framework, plugin in plugins.items():
        if plugin.claims(built):
            plugin.prepare()
            return LoadedSide(plugin.make_side(built, shapes, own), own, framework)
    known = ", ".join(sorted(plugins))
    raise UsageError(
        f"{target} returned {_kind(built)}, which is no model of a known framework ({known}). Return a "
        "torch.nn.Module, a keras.Model or Layer, a flax module, or a pair of parameters and a function."
    )


def _plugins() -> dict[str, SidePlugin]:
    """The module of each framework; importing it imports no framework."""
    found: dict[str, SidePlugin] = {}
    for entry in importlib.metadata.entry_points(group="harness.sides"):
        found[entry.name] = entry.load()
    return found


def _is_imported(framework: str) -> bool:
    return framework in sys.modules or (framework == "jax" and "flax" in sys.modules)


def _kind(built: Any) -> str:
    kind = type(built)
    return f"{kind.__module__}.{kind.__qualname__}" if kind.__module__ != "builtins" else f"a {kind.__name__}"
