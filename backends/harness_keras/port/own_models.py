"""How a user's model is called and its variables are named, by ``harness port`` and by programs."""

import inspect
from typing import Any

import keras

Tensor = Any


def called(model: Any, given: Any, *, training: bool) -> Any:
    """What a model or layer makes of its argument; a layer with an own signature need not take the flag.

    The tensors of a list are arguments where ``call`` has one for each, as of ``call(self, x, y)``.
    """
    takes_training = isinstance(model, keras.Model) or getattr(model, "_call_has_training_arg", False)
    arguments = given if isinstance(given, list) and _takes_each(model, len(given)) else [given]
    return model(*arguments, training=training) if takes_training else model(*arguments)


def _takes_each(model: Any, count: int) -> bool:
    """Whether a layer with a ``call`` of its own takes so many tensors, one argument each."""
    if getattr(model, "_inputs_struct", None) is not None:  # a functional model takes what it declares
        return False
    positional = [
        parameter
        for parameter in inspect.signature(model.call).parameters.values()
        if parameter.kind in {parameter.POSITIONAL_ONLY, parameter.POSITIONAL_OR_KEYWORD}
        and parameter.name != "training"
    ]
    needed = sum(parameter.default is parameter.empty for parameter in positional)
    return count > 1 and needed > 1 and len(positional) >= count


def named_variables(model: Any) -> dict[str, keras.Variable]:
    """The model's variables by their paths, made unique by a number where they are not."""
    named: dict[str, keras.Variable] = {}
    for variable in model.weights:
        name, number = variable.path, 1
        while name in named:
            number += 1
            name = f"{variable.path}#{number}"
        named[name] = variable
    return named
