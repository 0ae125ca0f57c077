"""A repository in which single commits hide one fault each: ``planted_repository.py FOLDER [--torch]``.

``mynet`` is a small network with its training; ``bench.py`` and ``gate.toml`` time it. Each fault is one
commit on top of ``base``, tagged with its name; ``slower`` is the end of a line of commits, one of which
(``slower-by-copies``) makes each step slower. Commits are the same wherever and whenever they are made.
"""

import argparse
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

_INIT = '"""A small network, and its training."""\n'
_DATA = '''"""Random samples of ten classes."""

import numpy as np


def samples(count=256, size=64):
    rows = np.random.default_rng(7)
    return rows.normal(size=(count, size)), rows.integers(0, 10, count)
'''
_NETWORK = '''"""A network of three layers, written out."""

import numpy as np

SIZES = (64, 192, 192, 10)


def initial(seed=0):
    rows = np.random.default_rng(seed)
    return [rows.normal(size=shape) / shape[0] ** 0.5 for shape in zip(SIZES, SIZES[1:])]


def product(x, weight):
    return x @ weight


def loss_and_gradients(weights, x, y):
    inputs = [x]
    for weight in weights[:-1]:
        inputs.append(np.tanh(product(inputs[-1], weight)))
    logits = product(inputs[-1], weights[-1])
    shifted = logits - logits.max(1, keepdims=True)
    scores = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    loss = -scores[np.arange(len(y)), y].mean()
    error = np.exp(scores)
    error[np.arange(len(y)), y] -= 1
    error /= len(y)
    gradients = []
    for weight, given in zip(reversed(weights), reversed(inputs)):
        gradients.append(given.T @ error)
        error = (error @ weight.T) * (1 - given**2)
    return loss, gradients[::-1]
'''
_OPTIMIZER = '''"""AdamW."""

import numpy as np


class AdamW:
    def __init__(self, weights, rate=1e-2, decay=1e-2, epsilon=1e-8):
        self.weights, self.rate, self.decay, self.epsilon = weights, rate, decay, epsilon
        self.steps = 0
        self.first = [np.zeros_like(each) for each in weights]
        self.second = [np.zeros_like(each) for each in weights]

    def update(self, gradients):
        self.steps += 1
        for weight, gradient, first, second in zip(self.weights, gradients, self.first, self.second):
            weight *= 1 - self.rate * self.decay
            first += 0.1 * (gradient - first)
            second += 0.001 * (gradient**2 - second)
            change = first / (1 - 0.9**self.steps)
            change /= np.sqrt(second / (1 - 0.999**self.steps)) + self.epsilon
            weight -= self.rate * change
'''
_TRAIN = '''"""The training of the network, step by step."""

from mynet.data import samples
from mynet.network import initial, loss_and_gradients
from mynet.optimizer import AdamW


class Training:
    def __init__(self, batch=64):
        self.x, self.y = samples()
        self.weights = initial()
        self.optimizer = AdamW(self.weights)
        self.batch, self.steps = batch, 0

    def step(self):
        start = self.steps * self.batch % len(self.x)
        self.steps += 1
        rows = slice(start, start + self.batch)
        loss, gradients = loss_and_gradients(self.weights, self.x[rows], self.y[rows])
        self.optimizer.update(gradients)
        return float(loss)

    def state(self):
        return dict(enumerate(self.weights))
'''
_BENCH = '''"""The step that is timed."""

from mynet.train import Training


def make_step():
    training = Training()

    def step():
        return training.step()

    step.state = training.state
    step.samples = training.batch
    return step
'''
_SUITE = """max_slowdown = "5%"
max_memory_growth = "10%"

[benchmarks.train]
step = "bench.py:make_step"
threads = 1
"""
_TORCH = {
    "mynet/data.py": '''"""Random images of ten classes."""

import torch


def samples(count=64, size=16):
    rows = torch.Generator().manual_seed(7)
    return torch.randn(count, 3, size, size, generator=rows), torch.randint(10, (count,), generator=rows)
''',
    "mynet/network.py": '''"""A convolutional network."""

import torch
from torch import nn


def initial(seed=0):
    torch.manual_seed(seed)
    first = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()
    second = nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(), nn.AdaptiveAvgPool2d(4)
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(256, 10))


def placed(value):
    return value
''',
    "mynet/optimizer.py": '''"""AdamW."""

import torch


def adamw(model, rate=1e-2, decay=1e-2, epsilon=1e-8):
    return torch.optim.AdamW(model.parameters(), rate, weight_decay=decay, eps=epsilon)
''',
    "mynet/train.py": '''"""The training of the network, step by step."""

import torch

from mynet.data import samples
from mynet.network import initial, placed
from mynet.optimizer import adamw


class Training:
    def __init__(self, batch=32):
        self.x, self.y = samples()
        self.model = placed(initial())
        self.optimizer = adamw(self.model)
        self.batch, self.steps = batch, 0

    def step(self):
        start = self.steps * self.batch % len(self.x)
        self.steps += 1
        rows = slice(start, start + self.batch)
        self.optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(self.model(placed(self.x[rows])), self.y[rows])
        loss.backward()
        self.optimizer.step()
        return loss.detach()

    def state(self):
        return self.model.state_dict()
''',
}
_IGNORED = "__pycache__/\nresults/\n"


class Change(NamedTuple):
    """Texts of a file that a commit replaces. An empty ``old`` makes the file, or its end."""

    file: str
    old: str
    new: str


_AFTER_UPDATE = "        self.optimizer.update(gradients)\n"
_COPIES = (
    Change("mynet/train.py", 'step by step."""\n', 'step by step."""\n\nimport copy\n'),
    Change(
        "mynet/train.py",
        _AFTER_UPDATE,
        f"{_AFTER_UPDATE}        self.kept = copy.deepcopy(vars(self.optimizer))\n",
    ),
)
#: One fault each. The verdict that a gate must reach is in ``tests/timing/test_planted_repository.py``.
FAULTS: dict[str, tuple[Change, ...]] = {
    "deep-copy": _COPIES,
    "weight-decay": (Change("mynet/optimizer.py", "decay=1e-2", "decay=1e-1"),),
    "leak": (
        Change(
            "mynet/train.py",
            "        self.batch, self.steps",
            "        self.seen = []\n        self.batch, self.steps",
        ),
        Change(
            "mynet/train.py",
            _AFTER_UPDATE,
            f"{_AFTER_UPDATE}        self.seen.append([each.copy() for each in gradients])\n",
        ),
    ),
    "broken-import": (Change("mynet/train.py", "import AdamW\n", "import Adamw as AdamW\n"),),
    "layout": (Change("mynet/network.py", "return x @ weight", "return (weight.T @ x.T).T"),),
    "epsilon": (Change("mynet/optimizer.py", "epsilon=1e-8", "epsilon=1.1e-8"),),
    "loosened-limits": (*_COPIES, Change("gate.toml", 'max_slowdown = "5%"', 'max_slowdown = "90%"')),
}
#: The same faults in the repository with PyTorch, where their texts differ.
_TORCH_TEXTS = {
    _AFTER_UPDATE: "        self.optimizer.step()\n",
    "copy.deepcopy(vars(self.optimizer))": "[copy.deepcopy(self.optimizer.state_dict()) for _ in range(4)]",
    "each.copy() for each in gradients": "each.grad.clone() for each in self.model.parameters()",
    "return x @ weight": "return value\n",
    "return (weight.T @ x.T).T": "return value.to(memory_format=torch.channels_last)\n",
    "import AdamW\n": "import adamw\n",
    "import Adamw as AdamW\n": "import adam_w as adamw\n",
}
#: A line of commits that change nothing but one: every step copies its optimizer.
_LINE = (
    ("note", (Change("README.md", "", "\nThe step returns its loss.\n"),)),
    ("comment", (Change("mynet/data.py", "import ", "# Only for tests.\nimport "),)),
    ("slower-by-copies", _COPIES),
    ("docstring", (Change("bench.py", "that is timed", "that is timed in each process"),)),
    ("slower", (Change("README.md", "", "\nLicence: none.\n"),)),
)


def plant(folder: Path, *, torch: bool = False) -> None:
    """Make the repository in an empty or new ``folder``; ``base`` is checked out."""
    numpy_files = {
        "mynet/data.py": _DATA,
        "mynet/network.py": _NETWORK,
        "mynet/optimizer.py": _OPTIMIZER,
        "mynet/train.py": _TRAIN,
    }
    own = _TORCH if torch else numpy_files
    history = _History()
    first = {"README.md": "# mynet\n", ".gitignore": _IGNORED, "mynet/__init__.py": _INIT, **own}
    start = history.commit("start", None, first)
    timed = history.commit("bench", start, {"bench.py": _BENCH})
    base = history.commit("base", timed, {"gate.toml": _SUITE})
    for name, changes in FAULTS.items():
        history.commit(name, base, _changed(base, changes, torch=torch))
    last = base
    for name, changes in _LINE:
        last = history.commit(name, last, _changed(last, changes, torch=torch))
    folder.mkdir(parents=True, exist_ok=True)
    _git(folder, "init", "-q", "-b", "main")
    _git(folder, "fast-import", "--quiet", text=history.text(base))
    _git(folder, "checkout", "-q", "main")


class _Commit(NamedTuple):
    """A commit of a history: its number, and all files."""

    mark: int
    files: Mapping[str, str]


class _History:
    """Commits as ``git fast-import`` reads them: by one author, each an hour after the one before it."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._commits = 0

    def commit(self, name: str, parent: _Commit | None, files: Mapping[str, str]) -> _Commit:
        """Add a commit that changes these files, and tag it with its name."""
        self._commits += 1
        who = f"planted <planted@example.org> {_FIRST_SECOND + 3600 * self._commits} +0000"
        parts = [f"commit refs/tags/{name}", f"mark :{self._commits}", f"author {who}", f"committer {who}"]
        parts += [_data(name), *([f"from :{parent.mark}"] if parent else [])]
        for file, text in files.items():
            parts += [f"M 100644 inline {file}", _data(text)]
        self._parts += parts
        return _Commit(self._commits, {**(parent.files if parent else {}), **files})

    def text(self, main: _Commit) -> str:
        """Return the whole history, with a commit as the branch ``main``."""
        return "\n".join([*self._parts, "reset refs/heads/main", f"from :{main.mark}", ""])


#: The first of January 2026.
_FIRST_SECOND = 1767225600


def _data(text: str) -> str:
    return f"data {len(text.encode())}\n{text}"


def _changed(parent: _Commit, changes: Sequence[Change], *, torch: bool) -> dict[str, str]:
    """Return the files of a commit that differ from its parent's."""
    texts: dict[str, str] = {}
    for change in changes:
        file, old, new = (_for_torch(each) if torch else each for each in change)
        text = texts.get(file, parent.files.get(file, ""))
        if old not in text:
            raise ValueError(f"{file} has no {old!r}")
        texts[file] = text.replace(old, new, 1) if old else text + new
    return texts


def _for_torch(text: str) -> str:
    for numpy_text, torch_text in _TORCH_TEXTS.items():
        text = text.replace(numpy_text, torch_text)
    return text


def check_out(folder: Path, name: str) -> None:
    """Make a fault the working tree."""
    _git(folder, "checkout", "-q", "--force", "--detach", name)
    _git(folder, "clean", "-qfd")


def _git(folder: Path, *words: str, text: str | None = None) -> None:
    """Call git in a folder, without the settings of the user."""
    own = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    words = ("git", "-C", str(folder), *words)
    subprocess.run(words, env={**os.environ, **own}, check=True, input=text, encoding="utf-8")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--torch", action="store_true", help="a convolutional network in PyTorch")
    given = parser.parse_args()
    plant(given.folder, torch=given.torch)
