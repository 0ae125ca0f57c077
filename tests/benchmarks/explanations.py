"""Gradients and integrated gradients of many pictures, beside loops by hand in PyTorch and JAX.

Both sides take turns in one process, on the same weights and pictures; the CPU time of the process counts,
so that a busy machine does not matter much.
"""

import argparse
import statistics
import time

import numpy as np

from harness.core.certify.input_gradients import Subject
from harness.core.plugins import registry
from harness.core.plugins.options import parse_options
from harness.core.training.initial import initial_weights
from harness.spec.backend import Plan
from harness.spec.data import Samples
from harness.weights.explain.attributions import integrated_gradients, quadrature

PICTURES, ROUNDS, NODES, BATCH = 1000, 5, 4, 64


def built(backend_name):
    backend, definition = registry.backend(backend_name), registry.task("cnn")
    backend.environment(1)
    task = definition.define(parse_options(definition, []))
    rng = np.random.default_rng(0)
    inputs = rng.random((PICTURES, 32, 32, 3), np.float32)
    plan = Plan(task=task, mode=backend.modes[0], device="cpu", threads=1, seed=0)
    program = backend.build(plan, Samples(inputs[:BATCH], np.zeros(BATCH, np.int64)))
    program.load(initial_weights(task, 0))
    return task, program, inputs, rng.integers(0, 10, PICTURES)


def torch_by_hand(program):
    """What a user of PyTorch writes: batches, ``requires_grad_`` and ``autograd.grad``."""
    import torch

    model = program._modules["model"].eval()

    def gradients(inputs, targets):
        found = []
        for start in range(0, len(inputs), BATCH):
            x = torch.from_numpy(inputs[start : start + BATCH]).permute(0, 3, 1, 2).contiguous()
            x.requires_grad_()
            chosen = torch.from_numpy(targets[start : start + BATCH])[:, None]
            (gradient,) = torch.autograd.grad(model(x).gather(1, chosen).sum(), x)
            found.append(gradient.permute(0, 2, 3, 1).numpy())
        return np.concatenate(found)

    return gradients


def jax_by_hand(program):
    """What a user of JAX writes: a jitted gradient, in batches of one size."""
    import jax

    from harness_jax.convolutions import fastest_convolutions
    from harness_jax.networks import forward_of

    forward = forward_of(program._task.networks["model"], fastest_convolutions("cpu"), "float32")
    weights = program._state.weights("model")

    @jax.jit
    def gradient(x, targets):
        def chosen(x):
            return forward(weights, x)[0][np.arange(BATCH), targets].sum()

        return jax.grad(chosen)(x)

    def gradients(inputs, targets):
        rest = -len(inputs) % BATCH
        x = np.concatenate([inputs, np.zeros((rest, *inputs.shape[1:]), inputs.dtype)])
        y = np.concatenate([targets, np.zeros(rest, targets.dtype)]).astype(np.int32)
        made = [gradient(x[at : at + BATCH], y[at : at + BATCH]) for at in range(0, len(x), BATCH)]
        return np.concatenate([np.asarray(part) for part in made])[: len(inputs)]

    return gradients


def integrated_by_hand(gradients, inputs, targets):
    total = 0
    for place, weight in zip(*quadrature(NODES), strict=True):
        total = total + weight * gradients((place * inputs).astype(np.float32), targets)
    gradients(inputs, targets), gradients(0 * inputs, targets)  # the ends, for completeness
    return inputs * total


def timed(work):
    start = time.process_time()
    result = work()
    return result, time.process_time() - start


def compared(name, ours, theirs):
    ours(), theirs()
    pairs = []
    for _ in range(ROUNDS):
        (one, own), (other, hand) = timed(ours), timed(theirs)
        assert np.abs(one - other).max() < 1e-3 * np.abs(other).max()
        pairs.append((own, hand))
    ratio = statistics.median(own / hand for own, hand in pairs)
    own, hand = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"{name}: {own:.3f} s, by hand {hand:.3f} s of CPU time, ratio {ratio:.3f}", flush=True)


BY_HAND = {"torch": torch_by_hand, "jax": jax_by_hand}


def compare(name):
    task, program, inputs, targets = built(name)
    subject, gradients = Subject(program, task), BY_HAND[name](program)
    what = f"{name}, {PICTURES} pictures of cnn"
    compared(
        f"{what}, gradients",
        lambda: subject.gradients(inputs, targets)[0],
        lambda: gradients(inputs, targets),
    )
    compared(
        f"{what}, integrated gradients of {NODES} nodes",
        lambda: integrated_gradients(subject, inputs, targets, nodes=NODES).values,
        lambda: integrated_by_hand(gradients, inputs, targets),
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("backends", nargs="*", choices=[*BY_HAND], default=[*BY_HAND])
    for chosen in parser.parse_args().backends:
        compare(chosen)
