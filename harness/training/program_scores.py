"""The scores of a program: of its predictions, and of the pictures that it generates."""

import numpy as np

from harness.spec.backend import Program
from harness.spec.data import Samples, Split
from harness.spec.task import Adversarial, Task
from harness.training.gan_quality import Judge
from harness.training.initial import initial_weights
from harness.training.measures import Scores
from harness.training.sample_grid import sample_grid
from harness.training.scoring import generate, score
from harness.training.splits import at_most


def current_weights(program: Program) -> dict[str, np.ndarray]:
    """The weights as :meth:`Program.load` takes them: float64, in memory of their own."""
    return {name: np.array(value, np.float64, order="C") for name, value in program.weights().items()}


class Scorer:
    """Scores programs of one task on these splits; ``seed`` is that of their initial weights."""

    def __init__(self, task: Task, splits: dict[Split, Samples], seed: int) -> None:
        self._task = task
        self._splits = splits
        self._seed = seed
        self._judge: Judge | None = None
        #: A grid of generated pictures as PNG, of the test scores of an adversarial task.
        self.samples_png: bytes | None = None

    def scores(self, program: Program, split: Split, most: int | None = None) -> Scores:
        """The scores of a split, or of ``most`` of its samples.

        Generated pictures of the test split are compared with baselines too.
        """
        real, objective = at_most(self._splits[split], most), self._task.objective
        scores = score(self._task, program.predict, real)
        if not isinstance(objective, Adversarial):
            return scores
        self._judge = self._judge or Judge(self._splits["train"])
        fakes = generate(objective, program.predict, real)
        if split != "test":
            return scores | self._judge.distance(real.inputs, fakes)
        scores |= self._judge.verdict(real.inputs, fakes)
        self.samples_png = sample_grid(fakes)
        return scores | self._judge.baselines(real.inputs, self._untrained(program, objective, real))

    def _untrained(self, program: Program, objective: Adversarial, real: Samples) -> np.ndarray:
        """Pictures that the generator makes with its initial weights."""
        trained = current_weights(program)
        program.load(initial_weights(self._task, self._seed))
        fakes = generate(objective, program.predict, real)
        program.load(trained)
        return fakes
