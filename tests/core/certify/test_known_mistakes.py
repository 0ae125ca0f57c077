"""Mistakes planted in PyTorch are found in small networks, and named by what NumPy makes of each."""

import dataclasses
import functools
import re
import types

import msgspec
import numpy as np
import pytest
from support.tasks import small_task
from support.training_cases import PICTURES, TEXT

pytest.importorskip("torch")

import torch
from support.altered import Altered, faulty, one_by_one

from harness.core.certify.cases import Case
from harness.core.certify.observation import TrialPrograms, observe
from harness.core.certify.parity import compare
from harness.core.certify.recognition import Recognizer
from harness.core.reference.mistakes import alternatives
from harness.core.training.learning_rates import LearningRates
from harness.layers import GRU, LSTM, BatchNorm, ConvTranspose2D, Dense, Flatten, LayerNorm, SelfAttention
from harness.network import Network
from harness.spec import Classification, CosineDecay, Sgd
from harness_torch import TorchBackend
from harness_torch.attention import Attention
from harness_torch.attention import Unembedding as TorchUnembedding
from harness_torch.layers import Recurrent

STEPS = 4
GRUS = Network(
    (5, 3), (GRU(4, bidirectional=True, return_sequences=True), GRU(3, bidirectional=True), Dense(3))
)
LSTMS = Network((5, 3), (LSTM(4), Dense(3)))
ENLARGED = Network((3, 3, 2), (ConvTranspose2D(4, 4, 2, activation="relu"), Flatten(), Dense(3)))
PLAIN = {"optimizer": Sgd(0.5), "gradient_rate": 0.5}
RULED = {
    "optimizer": Sgd(0.5, 0.9),
    "weight_decay": 0.1,
    "clip_norm": 0.2,
    "schedule": CosineDecay(0.1, warmup_steps=1),
    "decay_embeddings": True,
}


def case(network, *, gradient_rate=None, **rules):
    usual = {"objective": Classification(label_smoothing=0.1), "optimizer": Sgd(0.5)}
    task = small_task(network.input_shape, *network.layers, **usual | rules)
    return Case("small", task, 8, gradient_rate, outputs=True, length=STEPS)


@functools.cache
def expected(network, ruled):
    made = case(network, **(RULED if ruled else PLAIN))
    return made, observe(TrialPrograms(TorchBackend(), "eager", 1), made)


def named(backend, network, *, ruled=False):
    """What is said of a backend with a fault."""
    made, right = expected(network, ruled)
    observed = observe(TrialPrograms(backend, "eager", 1), made)
    finding = compare(made.name, observed, right, made.task.optimizer)
    assert not finding.passed
    return Recognizer().named(finding, made, observed, right).explanation


def layers_with(kind, **fields):
    """A plan whose layers of a kind have other fields."""

    def exchanged(layer):
        plain = isinstance(layer, Dense) and layer.activation is None
        return msgspec.structs.replace(layer, **fields) if isinstance(layer, kind) and not plain else layer

    return lambda plan: msgspec.structs.replace(plan, task=plan.task.with_layers(exchanged))


def modules(program, kind):
    return [module for module in program._modules["model"].modules() if isinstance(module, kind)]


def patched(kind, forward):
    """A program whose modules of a kind have another ``forward(module, x)``."""

    class Patched(Altered):
        def __init__(self, right):
            super().__init__(right)
            for module in modules(right, kind):
                module.forward = types.MethodType(forward, module)

    return Patched


def attention(*, scale=None, keys_after=0, interleaved=False):
    def forward(module, x):
        steps, width = x.shape[1:]

        def split(part):
            if interleaved:
                return part.unflatten(-1, (-1, module._heads)).permute(0, 3, 1, 2)
            return part.unflatten(-1, (module._heads, -1)).transpose(1, 2)

        q, k, v = map(split, module.qkv(x).chunk(3, dim=-1))
        mask = torch.ones(steps, steps, dtype=torch.bool).tril(keys_after)
        y = torch.nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, scale=scale)
        return module.output(y.transpose(1, 2).reshape(-1, steps, width))

    return patched(Attention, forward)


def over_the_steps(module, x):
    y = torch.nn.functional.layer_norm(x.transpose(1, 2), x.shape[1:2], eps=module.eps)
    return y.transpose(1, 2) * module.weight + module.bias


def over_each_sample(module, x):
    y = (x - x.mean((2, 3), keepdim=True)) / (x.var((2, 3), unbiased=False, keepdim=True) + module.eps).sqrt()
    torch.nn.BatchNorm2d.forward(module, x)  # which updates the running statistics
    return y * module.weight[:, None, None] + module.bias[:, None, None]


class OneByOne(Altered):
    """Makes each step by ``step(steps)``, which gets one."""

    def train(self, steps):
        return np.concatenate(list(map(self.step, one_by_one(steps))))


class BiasedRunningVariance(OneByOne):
    def __init__(self, right):
        super().__init__(right)
        for module in modules(right, torch.nn.BatchNorm2d):
            module.register_forward_hook(self.note)

    def note(self, module, inputs, _outputs):
        (x,) = inputs
        self.noted[module] = module.momentum * x.detach().var((0, 2, 3)) / (x.numel() / x.shape[1])

    def step(self, steps):
        self.noted = {}
        losses = self.right.train(steps)
        for module, excess in self.noted.items():
            module.running_var -= excess
        return losses


class UpdatesInEvaluation(Altered):
    def __init__(self, right):
        super().__init__(right)
        right._modules["model"].eval = lambda: None


class OwnOutputTable(OneByOne):
    def load(self, weights):
        self.right.load(weights)
        for module in modules(self.right, TorchUnembedding):
            table = module.table.detach().clone().requires_grad_()
            module.forward = functools.partial(torch.nn.functional.linear, weight=table)
            self.table, self.optimizer = table, torch.optim.SGD([table], 0.5)

    def step(self, steps):
        self.table.grad = None
        parameters = self.right._updates["model"]._parameters
        parameters.append(self.table)
        losses = self.right.train(steps)
        parameters.pop()
        self.optimizer.step()
        return losses


class DecaysEverything(Altered):
    def __init__(self, right):
        super().__init__(right)
        update = right._updates["model"]
        update._decayed = update._parameters


class ClipsEachArray(Altered):
    def __init__(self, right):
        super().__init__(right)
        update = right._updates["model"]

        def clip():
            for parameter in update._parameters:
                parameter.grad *= update._clip_norm / parameter.grad.norm().clamp(min=update._clip_norm)

        update._clip = clip


class ClipsAsTorchDoes(Altered):
    def __init__(self, right):
        super().__init__(right)
        update = right._updates["model"]
        update._clip = lambda: torch.nn.utils.clip_grad_norm_(update._parameters, update._clip_norm)


class RateOfTheNextStep(Altered):
    made = 0

    def train(self, steps):
        rates = LearningRates(0.5, RULED["schedule"], STEPS).of_steps(self.made + 1, len(steps.indices))
        self.made += len(steps.indices)
        return self.right.train(dataclasses.replace(steps, learning_rates=rates))


class StepsAtTheirOwnRates(OneByOne):
    """Keras's form of the momentum: the velocity holds steps, so a new rate applies to new gradients only."""

    last = 0.0

    def step(self, steps):
        (rate,) = steps.learning_rates
        for moments in self.right._updates["model"].optimizer.state.values():
            moments["momentum_buffer"] *= self.last / rate
        self.last = rate
        return self.right.train(steps)


class OtherColumns(Altered):
    """Has each array of recurrent layers in another form: ``arranged`` on loading, ``back`` on reading."""

    def load(self, weights):
        self.right.load({name: self.of_gates(name, array, self.arranged) for name, array in weights.items()})

    def weights(self):
        weights = self.right.weights()
        return {name: self.of_gates(name, array, self.back) for name, array in weights.items()}

    def of_gates(self, name, array, change):
        if not {"forward", "backward"} & set(name.split("/")):
            return array
        return np.concatenate(change(np.split(array, len(self.gates), axis=-1)), axis=-1)


def gates_read_as(kind, *order):
    class Reordered(OtherColumns):
        gates = kind.gates

        def arranged(self, blocks):
            return [blocks[order.index(gate)] for gate in self.gates]

        def back(self, blocks):
            return [blocks[self.gates.index(gate)] for gate in order]

    return Reordered


class TakesTheCandidate(OtherColumns):
    """``sigmoid(-a)`` is ``1 - sigmoid(a)``."""

    gates = GRU.gates

    def arranged(self, blocks):
        reset, update, candidate = blocks
        return reset, -update, candidate

    back = arranged


class Turned(Altered):
    """Its kernels of transposed convolutions are turned."""

    def load(self, weights):
        self.right.load(self.turned(weights))

    def weights(self):
        return self.turned(self.right.weights())

    def turned(self, weights):
        return {
            name: array[::-1, ::-1].copy() if array.shape == (4, 4, 2, 4) else array
            for name, array in weights.items()
        }


def gru_by_hand(reset):
    """The cells of ``nn.GRU`` with the reset gate elsewhere: ``reset(r, h, weights, bias)``."""

    def forward(module, x):
        cell, ways = module.cell, ("", "_reverse")
        outputs = []
        for way in ways:
            names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            w, u, b, c = (getattr(cell, f"{name}_l0{way}") for name in names)
            h, made = x.new_zeros(len(x), cell.hidden_size), []
            for step in range(x.shape[1])[:: -1 if way else 1]:
                x_r, x_z, x_n = (x[:, step] @ w.T + b).chunk(3, dim=-1)
                h_r, h_z, _ = (h @ u.T + c).chunk(3, dim=-1)
                n = torch.tanh(x_n + reset(torch.sigmoid(x_r + h_r), h, u.chunk(3)[2], c.chunk(3)[2]))
                z = torch.sigmoid(x_z + h_z)
                h = (1 - z) * n + z * h
                made.append(h)
            outputs.append(torch.stack(made[:: -1 if way else 1], dim=1) if module._sequences else h)
        return torch.cat(outputs, dim=-1)

    return patched(Recurrent, forward)


def at_the_last_step(module, x):
    outputs, _ = module.cell(x)
    return outputs if module._sequences else outputs[:, -1]


def as_made(module, x):
    outputs, last = module.cell(x)
    if not module._sequences:
        return last.transpose(0, 1).flatten(1)
    ahead, back = outputs.chunk(2, dim=-1)
    return torch.cat([ahead, back.flip(1)], dim=-1)


GRU_ORDER, LSTM_ORDERS = (
    ("update", "reset", "candidate"),
    [("input", "candidate", "forget", "output"), ("input", "forget", "output", "candidate")],
)
IN_LAYERS = {
    "epsilon of BatchNorm": (faulty(plan=layers_with(BatchNorm, epsilon=1e-3)), PICTURES),
    "epsilon of LayerNorm": (faulty(plan=layers_with(LayerNorm, epsilon=1e-3)), TEXT),
    "weights of running statistics": (faulty(plan=layers_with(BatchNorm, update_rate=0.9)), PICTURES),
    "biased running variance": (faulty(BiasedRunningVariance), PICTURES),
    "statistics updated in evaluation": (faulty(UpdatesInEvaluation), PICTURES),
    "axis of LayerNorm": (faulty(patched(torch.nn.LayerNorm, over_the_steps)), TEXT),
    "axes of BatchNorm": (faulty(patched(torch.nn.BatchNorm2d, over_each_sample)), PICTURES),
    "form of GELU": (faulty(plan=layers_with(Dense, activation="gelu_tanh")), TEXT),
    "scale of attention": (faulty(attention(scale=1.0)), TEXT),
    "mask off by one": (faulty(attention(keys_after=1)), TEXT),
    "no mask": (faulty(plan=layers_with(SelfAttention, causal=False)), TEXT),
    "heads interleaved": (faulty(attention(interleaved=True)), TEXT),
    "table of the logits": (faulty(OwnOutputTable), TEXT),
    "gates of the GRU": (faulty(gates_read_as(GRU, *GRU_ORDER)), GRUS),
    "share of the candidate": (faulty(TakesTheCandidate), GRUS),
    "reset before the product": (faulty(gru_by_hand(lambda r, h, u, c: (r * h) @ u.T + c)), GRUS),
    "reset before the bias": (faulty(gru_by_hand(lambda r, h, u, c: r * (h @ u.T) + c)), GRUS),
    "backward outputs as made": (faulty(patched(Recurrent, as_made)), GRUS),
    "backward output at the end": (faulty(patched(Recurrent, at_the_last_step)), GRUS),
    "gates of the LSTM": (faulty(gates_read_as(LSTM, *LSTM_ORDERS[0])), LSTMS),
    "other gates of the LSTM": (faulty(gates_read_as(LSTM, *LSTM_ORDERS[1])), LSTMS),
    "kernel turned": (faulty(Turned), ENLARGED),
}
IN_UPDATES = {
    "decay of everything": DecaysEverything,
    "clipping of each array": ClipsEachArray,
    "clipping as torch does": ClipsAsTorchDoes,
    "rate of the next step": RateOfTheNextStep,
    "momentum of steps": StepsAtTheirOwnRates,
}


def without_numbers(text):
    return re.sub(r"\d+\.\d+(e[-+]\d+)?", "N", text)


@pytest.mark.parametrize("mistake", IN_LAYERS)
def test_a_mistake_in_a_layer_is_named(mistake, snapshot):
    assert without_numbers(named(*IN_LAYERS[mistake])) == snapshot


@pytest.mark.parametrize("mistake", IN_UPDATES)
def test_a_mistake_in_an_update_is_named(mistake, snapshot):
    assert without_numbers(named(faulty(IN_UPDATES[mistake]), TEXT, ruled=True)) == snapshot


def test_cells_by_hand_are_right_where_the_reset_gate_is():
    """Or the tests above would find any mistake."""
    made, right = expected(GRUS, False)
    backend = faulty(gru_by_hand(lambda r, h, u, c: r * (h @ u.T + c)))
    assert compare(made.name, observe(TrialPrograms(backend, "eager", 1), made), right).passed


def test_another_mistake_is_left_to_what_deviates():
    class Other(Altered):
        def train(self, steps):
            return self.right.train(dataclasses.replace(steps, learning_rates=1.01 * steps.learning_rates))

    assert "tried" not in named(faulty(Other), TEXT)


def test_every_mistake_of_a_case_gives_other_numbers():
    tried = list(alternatives(case(TEXT, **RULED).task))
    assert len({each.mistake for each in tried}) == len(tried) > 15
    assert len({each.mistake for each in alternatives(case(GRUS).task)}) == 7
    assert len({each.mistake for each in alternatives(case(LSTMS).task)}) == 5
