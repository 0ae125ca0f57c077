"""Steps in NumPy: a regression and a small network, and the changes of the table of pairs."""

import numpy as np
from together import together


def dense(x, w, form):
    if form == "einsum":
        return np.einsum("ij,jk->ik", x, w)
    if form == "transposed":
        return (w.T @ x.T).T
    if form == "split":
        half = w.shape[0] // 2
        return x[:, :half] @ w[:half] + x[:, half:] @ w[half:]
    return x @ w


def make(
    net, dtype="float32", form="", variance="var", decay=1e-4, eps=1e-5, order=1, momentum=0.9, gain=1.0
):
    """Make a step of training a layer, a normalisation and another layer, with gradients written out."""
    rows = np.random.default_rng(0)
    x, y = rows.normal(size=(64, 48)).astype(dtype)[::order], rows.normal(size=(64, 8)).astype(dtype)[::order]
    shapes = (48, 64), (64, 8)
    weights = [(gain * rows.normal(size=shape) / shape[0] ** 0.5).astype(dtype) for shape in shapes]
    speeds = [np.zeros_like(each) for each in weights]

    def step():
        first, second = weights
        h = dense(x, first, form)
        centred = h - h.mean(0)
        spread = (h * h).mean(0) - h.mean(0) ** 2 if variance == "moments" else h.var(0)
        inverse = 1 / np.sqrt(spread + np.asarray(eps, dtype))
        normal = centred * inverse
        active = np.tanh(normal)
        error = dense(active, second, form) - y
        back = dense(error, second.T, form) * (1 - active**2)
        back = inverse * (back - back.mean(0) - normal * (back * normal).mean(0))
        gradients = dense(x.T, back, form), dense(active.T, error, form)
        for weight, speed, gradient in zip(weights, speeds, gradients, strict=True):
            change = gradient / len(x) + np.asarray(decay, dtype) * weight
            speed[:] = np.asarray(momentum, dtype) * speed + change
            weight[:] -= np.asarray(0.1, dtype) * speed
        return {"loss": (error * error).mean()}

    step.state = lambda: dict(enumerate(weights))
    return step


def chaos(factor=0.98, form="sine"):
    """Make a step of a map that separates close numbers fast, without a product of matrices."""
    x = np.random.default_rng(0).uniform(size=1000).astype("float32")

    def step():
        angle = np.float32(np.pi) * x
        half = angle / 2
        x[:] = np.float32(factor) * (np.sin(angle) if form == "sine" else 2 * np.sin(half) * np.cos(half))
        return {"x": x, "mean": x.mean()}

    step.state = lambda: {"x": x}
    return step


def make_either(net, **changes):
    return chaos(**changes) if net == "chaos" else make(net, **changes)


make_steps = together(make_either, np.random.seed)
