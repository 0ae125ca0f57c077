"""The compiled functions of a task: the loop of training steps, and the outputs of each network.

Programs that compute the same share them, so a process that builds many, as one that certifies does, compiles
once for each shape. A run is timed in a process of its own, whose first program compiles in its first step.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import msgspec
from jax import lax
from jax import numpy as jnp

from harness.network import Network
from harness.spec import Adversarial, Task
from harness_jax.convolutions import fastest_convolutions
from harness_jax.layers import Forward, forward_of
from harness_jax.objectives import State, Step, step_of

#: Compiled code takes memory, so only that of the latest tasks and networks is kept.
_KEPT = 8

#: Inputs and targets; the loss of each step.
Data = tuple[jax.Array, jax.Array]
Block = Callable[[State, Data, dict[str, Any], Any, Any], tuple[State, jax.Array]]


def block_of(task: Task, platform: str, *, bfloat16: bool) -> Block:
    """The compiled loop: maps a state, the data, draws, a number of steps and a seed to state and losses.

    The old state is donated: its memory is overwritten.
    """
    # What does not change the computation of a step must not keep programs from sharing it.
    same = msgspec.structs.replace(
        task, name="", version=0, epochs=1, batch_size=None, imbalance=None, train_fraction=1.0
    )
    return _block_of(msgspec.json.encode(same), platform, bfloat16)


def predictor_of(network: Network, platform: str, *, bfloat16: bool) -> Forward:
    """The network as a compiled function."""
    return _predictor_of(msgspec.json.encode(network), platform, bfloat16)


def forget() -> None:
    """Drop all compiled functions that no program uses."""
    _block_of.cache_clear()
    _predictor_of.cache_clear()


@functools.lru_cache(_KEPT)
def _block_of(described: bytes, platform: str, bfloat16: bool) -> Block:
    task = msgspec.json.decode(described, type=Task)
    convolutions = fastest_convolutions(platform)
    forwards = {
        name: forward_of(network, convolutions, bfloat16=bfloat16) for name, network in task.networks.items()
    }
    block: Block = jax.jit(functools.partial(_block, task, step_of(task, forwards)), donate_argnums=0)
    return block


@functools.lru_cache(_KEPT)
def _predictor_of(described: bytes, platform: str, bfloat16: bool) -> Forward:
    network = msgspec.json.decode(described, type=Network)
    forward: Forward = jax.jit(forward_of(network, fastest_convolutions(platform), bfloat16=bfloat16))
    return forward


def _batch(crop: int, data: Data, draws: Mapping[str, jax.Array]) -> tuple[Any, Any]:
    """The inputs of a step, by one gather and augmented if asked for; and its targets or latents."""
    inputs, targets = data
    rows = draws["indices"]
    second = draws["latents"] if "latents" in draws else targets[rows]
    if not {"flips", "offsets"} & draws.keys():
        return inputs[rows], second
    height, width = (axis - 2 * crop for axis in inputs.shape[1:3])
    y, x = jnp.arange(height, dtype=rows.dtype)[None], jnp.arange(width, dtype=rows.dtype)[None]
    if "flips" in draws:
        x = jnp.where(draws["flips"][:, None], width - 1 - x, x)
    if "offsets" in draws:
        y, x = y + draws["offsets"][:, :1], x + draws["offsets"][:, 1:]
    return inputs[rows[:, None, None], y[:, :, None], x[:, None, :]], second


def _block(
    task: Task,
    step: Step,
    state: State,
    data: Data,
    draws: dict[str, jax.Array],
    count: jax.Array,
    seed: jax.Array,
) -> tuple[State, jax.Array]:
    """Make the first ``count`` steps of ``draws``; returns the losses ``(len(draws), ...)``.

    A loop of dynamic length is as fast as a scan, and is compiled once for all lengths.
    """

    def body(i: jax.Array, carry: tuple[State, jax.Array]) -> tuple[State, jax.Array]:
        state, losses = carry
        inputs, second = _batch(task.augmentation.crop, data, {name: a[i] for name, a in draws.items()})
        key = jax.random.fold_in(jax.random.key(seed), state.steps)
        state, loss = step(state, inputs, second, key)
        return state, losses.at[i].set(loss)

    columns = (2,) if isinstance(task.objective, Adversarial) else ()
    losses = jnp.zeros((len(draws["indices"]), *columns), data[0].dtype)
    result: tuple[State, jax.Array] = lax.fori_loop(0, count, body, (state, losses))
    return result
