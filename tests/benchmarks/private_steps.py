"""Cost of a step of DP-SGD relative to a hand-written loop of an expert, in turn in one process, one thread.

For torch the loop is Opacus's where that is installed, and one of torch.func; for JAX a vmapped loop under
jit. All get the same samples of each step; noise is each one's own. The figure is the median over turns of
the ratio of CPU times, so that other programs on the machine matter little. Run it by hand::

    python tests/benchmarks/private_steps.py --backend torch --task mlp
"""

import argparse
import importlib.util
import statistics
import time

import numpy as np

from harness.core.plugins import registry
from harness.core.plugins.definition import define_task
from harness.core.plugins.options import parse_options
from harness.core.training.batches import BatchOrder
from harness.core.training.initial import initial_weights
from harness.spec import Plan, Samples

NOISE, CLIP, RATE = 1.1, 1.0, 0.01
SAMPLES, CLASSES = 4000, 10


def main() -> None:
    """Print a ratio for each loop by hand."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--backend", choices=["torch", "jax"], default="torch")
    arguments.add_argument("--task", choices=["mlp", "cnn"], default="mlp")
    arguments.add_argument("--mode", default="")
    arguments.add_argument("--steps", type=int, default=20)
    arguments.add_argument("--turns", type=int, default=9)
    given = arguments.parse_args()
    backend = registry.backend(given.backend)
    backend.environment(1)
    options = [f"dp_noise={NOISE}", f"dp_clip={CLIP}", f"learning_rate={RATE}", "optimizer=sgd"]
    definition = registry.task(given.task)
    task = define_task(definition, parse_options(definition, options))
    rng = np.random.default_rng(0)
    shape = task.networks["model"].input_shape
    data = Samples(rng.random((SAMPLES, *shape), np.float32), rng.integers(CLASSES, size=SAMPLES))
    mode = given.mode or backend.default_mode(task)
    program = backend.build(Plan(task=task, mode=mode, device="cpu", threads=1, seed=0), data)
    program.load(initial_weights(task, 0))
    order = BatchOrder.of_task(task, SAMPLES, 0)
    loops = _torch_loops if given.backend == "torch" else _jax_loops
    by_hand = loops(given.task, data, task.batch_size)
    sides = {"harness": program.train, **by_hand}
    for train in sides.values():  # compiles
        train(order.steps(0, min(2, given.steps)))
        train(order.steps(0, given.steps))
    seconds = {name: [] for name in sides}
    for turn in range(given.turns):
        steps = order.steps(0, given.steps)
        for name in sorted(sides, reverse=bool(turn % 2)):
            begun = time.process_time()
            sides[name](steps)
            seconds[name].append(time.process_time() - begun)
    milliseconds = 1e3 / given.steps
    for name, own in seconds.items():
        ratios = [ours / theirs for ours, theirs in zip(seconds["harness"], own, strict=True)]
        print(
            f"{name}: {milliseconds * statistics.median(own):.2f} ms a step; harness / {name} "
            f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
        )


def _torch_loops(task: str, data: Samples, batch_size: int) -> dict:
    import torch
    from torch import nn
    from torch.nn import functional

    torch.set_num_threads(1)
    inputs = torch.from_numpy(data.inputs)
    inputs = inputs.permute(0, 3, 1, 2).contiguous() if task == "cnn" else inputs.flatten(1)
    targets = torch.from_numpy(data.targets)

    def network() -> nn.Sequential:
        torch.manual_seed(0)
        if task == "mlp":
            layers = nn.Linear(40, 100), nn.ReLU(), nn.Linear(100, 100), nn.ReLU(), nn.Linear(100, 10)
            return nn.Sequential(*layers)
        return nn.Sequential(
            nn.Conv2d(3, 32, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(2304, 128),
            nn.ReLU(),
            nn.Linear(128, 10),
        )

    model = network()
    parameters = dict(model.named_parameters())
    optimizer = torch.optim.SGD(parameters.values(), RATE)

    def loss_of(values: dict, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return functional.cross_entropy(torch.func.functional_call(model, values, x[None]), y[None])

    by_sample = torch.func.vmap(torch.func.grad_and_value(loss_of), (None, 0, 0))

    def by_func(steps):
        losses = []
        for indices, mask in zip(steps.indices, steps.included, strict=True):
            rows = torch.from_numpy(indices[mask])
            values = {name: p.detach() for name, p in parameters.items()}
            each, own = by_sample(values, inputs[rows], targets[rows])
            norms = torch.stack([g.flatten(1).norm(dim=1) for g in each.values()]).norm(dim=0)
            factors = (CLIP / norms).clamp(max=1.0)
            for name, parameter in parameters.items():
                total = torch.einsum("n,n...->...", factors, each[name])
                noise = NOISE * CLIP * torch.randn_like(parameter)
                parameter.grad = (total + noise) / batch_size
            optimizer.step()
            losses.append(own.sum() / batch_size)
        return torch.stack(losses).numpy()

    loops = {"torch.func by hand": by_func}
    if importlib.util.find_spec("opacus"):
        from opacus import GradSampleModule
        from opacus.optimizers import DPOptimizer

        private = GradSampleModule(network())
        private_optimizer = DPOptimizer(
            torch.optim.SGD(private.parameters(), RATE),
            noise_multiplier=NOISE,
            max_grad_norm=CLIP,
            expected_batch_size=batch_size,
        )

        def by_opacus(steps):
            losses = []
            for indices, mask in zip(steps.indices, steps.included, strict=True):
                rows = torch.from_numpy(indices[mask])
                private_optimizer.zero_grad()
                loss = functional.cross_entropy(private(inputs[rows]), targets[rows])
                loss.backward()
                private_optimizer.step()
                losses.append(loss.detach())
            return torch.stack(losses).numpy()

        loops["Opacus"] = by_opacus
    return loops


def _jax_loops(task: str, data: Samples, batch_size: int) -> dict:
    import jax
    from jax import numpy as jnp

    inputs, targets = jnp.asarray(data.inputs), jnp.asarray(data.targets.astype(np.int32))
    rng = np.random.default_rng(0)

    def dense(before: int, after: int) -> list:
        return [jnp.asarray(rng.normal(0, before**-0.5, (before, after)), jnp.float32), jnp.zeros(after)]

    if task == "mlp":
        parameters = [dense(40, 100), dense(100, 100), dense(100, 10)]
    else:
        kernels = [jnp.asarray(rng.normal(0, 0.1, s), jnp.float32) for s in ((3, 3, 3, 32), (3, 3, 32, 64))]
        parameters = [[kernels[0], jnp.zeros(32)], [kernels[1], jnp.zeros(64)]]
        parameters += [dense(2304, 128), dense(128, 10)]

    def logits_of(parameters, x):
        x = x[None]
        if task == "cnn":
            for kernel, bias in parameters[:2]:
                x = jax.lax.conv_general_dilated(
                    x, kernel, (1, 1), "VALID", dimension_numbers=("NHWC", "HWIO", "NHWC")
                )
                x = jax.nn.relu(x + bias)
                x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 2, 2, 1), (1, 2, 2, 1), "VALID")
        x = x.reshape(1, -1)
        rest = parameters[2:] if task == "cnn" else parameters
        for kernel, bias in rest[:-1]:
            x = jax.nn.relu(x @ kernel + bias)
        return (x @ rest[-1][0] + rest[-1][1])[0]

    def loss_of(parameters, x, y):
        return -jax.nn.log_softmax(logits_of(parameters, x))[y]

    @jax.jit
    def step(parameters, key, rows, mask):
        losses, each = jax.vmap(jax.value_and_grad(loss_of), (None, 0, 0))(
            parameters, inputs[rows], targets[rows]
        )
        leaves, tree = jax.tree.flatten(each)
        norms = jnp.sqrt(sum(jnp.square(g).reshape(len(g), -1).sum(1) for g in leaves))
        factors = jnp.where(mask, jnp.minimum(1.0, CLIP / norms), 0.0)
        keys = jax.random.split(key, len(leaves))
        summed = [(factors @ g.reshape(len(g), -1)).reshape(g.shape[1:]) for g in leaves]
        noised = [
            (total + NOISE * CLIP * jax.random.normal(k, total.shape)) / batch_size
            for total, k in zip(summed, keys, strict=True)
        ]
        gradients = jax.tree.unflatten(tree, noised)
        return jax.tree.map(lambda w, g: w - RATE * g, parameters, gradients), (losses * mask).sum()

    state = {"parameters": parameters, "key": jax.random.key(0)}

    def vmapped(steps):
        losses = []
        for rows, mask in zip(steps.indices.astype(np.int32), steps.included, strict=True):
            state["key"], key = jax.random.split(state["key"])
            state["parameters"], loss = step(state["parameters"], key, rows, mask)
            losses.append(loss)
        return np.asarray(jnp.stack(losses))

    return {"vmapped loop by hand": vmapped}


if __name__ == "__main__":
    main()
