"""How a user's model is called and its variables are named, by ``harness port`` and by programs."""

from typing import Any

import keras

Tensor = Any


def called(model: Any, given: Any, *, training: bool) -> Any:
    """What a model or layer makes of its argument; a layer with an own signature need not take the flag."""
    takes_training = isinstance(model, keras.Model) or getattr(model, "_call_has_training_arg", False)
    return model(given, training=training) if takes_training else model(given)


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
