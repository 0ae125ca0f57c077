"""A plugin file whose modes each violate the contract of a program in one way; ``none`` violates nothing."""

import ctypes

import numpy as np

from harness.hookspecs import hookimpl
from harness.spec.backend import Backend, Program


class FrameworkTensor:
    """A framework's tensor in place of an array."""


def overwrite(array):
    """Write through a pointer, as a framework does that shares an array's memory."""
    ctypes.memset(array.ctypes.data, 1, array.nbytes)


#: What modes return in place of what is right.
LOSSES = {
    "loss of another shape": lambda losses: losses[:, None],
    "loss a tensor": lambda _: FrameworkTensor(),
    "loss of integers": lambda losses: losses.astype(int),
    "loss in float16": lambda losses: losses.astype(np.float16),
}
OUTPUTS = {
    "one class too many": lambda outputs: np.zeros((len(outputs), 11)),
    "outputs flattened": np.ravel,
    "outputs a tensor": lambda _: FrameworkTensor(),
    "outputs not finite": lambda outputs: outputs * np.nan,
}
PEAKS = {"memory in words": "2 GiB", "memory in NumPy": np.int64(2**31), "memory below zero": -1}
STATES = {
    "state": {"m": np.zeros(1)},
    "state a list": [],
    "state a tensor": {"m": FrameworkTensor()},
    "state of objects": {"m": np.array([None])},
    "state without names": {0: np.zeros(1)},
}


class BreakingProgram(Program):
    def __init__(self, plan, data):
        self.mode = plan.mode
        if plan.mode != "no device":
            self.device = "gpu:0 (NVIDIA H100)" if plan.mode == "device misspelt" else "cpu"
        self.inputs, self.targets = data.inputs, data.targets
        if plan.mode == "build writes inputs":
            overwrite(self.inputs)

    def load(self, weights):
        if self.mode == "single precision":
            assert all(value.dtype == np.float64 for value in weights.values())
        self.w = dict(weights)

    def weights(self):
        weights = dict(self.w)
        if self.mode == "single precision":
            return {name: value.astype(np.float32) for name, value in weights.items()}
        name = "model/dense_1/bias"
        if self.mode in ("parameter missing", "parameter misnamed"):
            bias = weights.pop(name)
            if self.mode == "parameter misnamed":
                weights["model/dense_1/offset"] = bias
        if self.mode == "parameter misshapen":
            weights[name] = weights[name][:, None]
        return weights

    steps = 0.0

    def train(self, steps):
        self.steps += len(steps.indices)
        if self.mode == "writes into the data":
            self.inputs[:] *= 0.5
        if self.mode == "train writes inputs":
            overwrite(self.inputs)
        if self.mode == "train writes targets":
            overwrite(self.targets)
        losses = np.full(len(steps.indices), 2.0)
        return LOSSES.get(self.mode, np.asarray)(losses)

    def predict(self, inputs, network="model"):
        if self.mode == "predict writes its inputs":
            overwrite(inputs)
        outputs = np.full((len(inputs), 10), self.steps)
        outputs[:, 0] = 0.0
        return OUTPUTS.get(self.mode, np.asarray)(outputs)

    def synchronize(self):
        pass

    def device_peak_memory_bytes(self):
        return PEAKS.get(self.mode)

    def training_state(self):
        return STATES.get(self.mode)

    def load_training_state(self, state):
        state["m"][:] = 1.0


class ContractBreaker(Backend):
    name = "breaker"
    summary = "breaks the contract"
    modes = (
        "none",
        "no device",
        "device misspelt",
        "no program",
        "parameter missing",
        "parameter misnamed",
        "parameter misshapen",
        "writes into the data",
        "build writes inputs",
        "train writes inputs",
        "train writes targets",
        "predict writes its inputs",
        "single precision",
        *LOSSES,
        *OUTPUTS,
        *PEAKS,
        *STATES,
    )
    requires = ("numpy>=1",)

    def environment(self, threads):
        return {"engine": "numpy", "numpy": np.__version__}

    def build(self, plan, data):
        return None if plan.mode == "no program" else BreakingProgram(plan, data)


class Anonymous(ContractBreaker):
    name = "anonymous"

    def environment(self, threads):
        return {"framework": "acme", "version": "1.2"}


@hookimpl
def harness_backend(name):
    return {"breaker": ContractBreaker, "anonymous": Anonymous}.get(name, lambda: None)()
