"""Models that cannot be compared in training: what is said of them, and what is an error."""

import pytest

from harness.errors import UsageError
from harness.port.api import check

pytest.importorskip("jax")
pytest.importorskip("torch")
PYTORCH = """
import torch

class Net(torch.nn.Module):
    def __init__(self, noise, turns):
        super().__init__()
        self.first, self.head = torch.nn.Linear(6, 6), torch.nn.Linear(6, 3)
        self.noise, self.turns = noise, turns

    def forward(self, x):
        for _ in range(self.turns):
            x = torch.tanh(self.first(x))
        if self.noise and self.training:
            x = x + 0.3 * torch.randn_like(x)
        return self.head(x)

def quiet(): return Net(False, 1)
def noisy(): return Net(True, 1)
def repeated(): return Net(False, 3)
"""
JAX = """
import jax
import jax.numpy as jnp

def parameters():
    rng = jax.random.PRNGKey(0)
    return {"first": {"kernel": jax.random.normal(rng, (6, 6)), "bias": jnp.zeros(6)},
            "head": {"kernel": jax.random.normal(rng, (6, 3)), "bias": jnp.zeros(3)}}

def dense(held, x): return x @ held["kernel"] + held["bias"]

def once(): return parameters(), lambda held, x: dense(held["head"], jnp.tanh(dense(held["first"], x)))

def repeated():
    def apply(held, x):
        def body(state): return state[0] + 1, jnp.tanh(dense(held["first"], state[1]))
        return dense(held["head"], jax.lax.while_loop(lambda state: state[0] < 3, body, (0, x))[1])
    return parameters(), apply
"""
LOSS = """
def make_loss():
    return lambda outputs, targets, more: outputs.sum()
"""


@pytest.fixture
def files(tmp_path):
    (tmp_path / "a.py").write_text(PYTORCH)
    (tmp_path / "b.py").write_text(JAX)
    (tmp_path / "wrong.py").write_text(JAX + LOSS)
    return tmp_path


def test_random_numbers_that_one_model_alone_draws_in_training_are_not_equal(files):
    found = check(f"{files}/a.py:noisy", f"{files}/b.py:once", [(6,)])
    assert found.verdict == "undecided"
    assert "noisy draws random numbers" in found.notes[0]
    assert check(f"{files}/a.py:quiet", f"{files}/b.py:once", [(6,)]).verdict == "equal up to"


def test_a_loop_without_gradients_is_compared_in_what_it_computes(files):
    found = check(f"{files}/a.py:repeated", f"{files}/b.py:repeated", [(6,)])
    assert found.verdict == "equal up to"
    assert [each for each in found.not_compared if each.startswith("gradients, because a model cannot be")]


def test_a_loss_of_the_users_that_fails_is_an_error(files):
    with pytest.raises(
        UsageError, match=r"wrong\.py:once: TypeError.*missing 1 required positional argument"
    ):
        check(f"{files}/a.py:quiet", f"{files}/wrong.py:once", [(6,)])
