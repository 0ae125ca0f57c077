"""The scores of a program: of its predictions, and of the pictures that it generates."""

from collections.abc import Sequence

import numpy as np

from harness.spec.backend import Program
from harness.spec.data import Samples, Series, Split
from harness.spec.task import Adversarial, Task
from harness.training.gan_quality import Judge
from harness.training.initial import initial_weights
from harness.training.outcome_records import Drawn, Outcomes
from harness.training.outcomes import Remembering, outcomes
from harness.training.sample_grid import epochs_grid, first_samples, picture_row, sample_grid, shown_epochs
from harness.training.sampled_texts import sampled_texts
from harness.training.scoring import Rows, Scored, generate, score
from harness.training.splits import at_most


def current_weights(program: Program) -> dict[str, np.ndarray]:
    """The weights as :meth:`Program.load` takes them: float64, in memory of their own."""
    return {name: np.array(value, np.float64, order="C") for name, value in program.weights().items()}


class Scorer:
    """Scores programs of one task on these splits; ``seed`` is that of their initial weights.

    ``classes`` and ``series`` are those of the data set, for what a report draws.
    """

    def __init__(
        self,
        task: Task,
        splits: dict[Split, Samples],
        seed: int,
        classes: tuple[str, ...] = (),
        series: Series | None = None,
    ) -> None:
        self._task = task
        self._classes, self._series = classes, series
        self._outputs: np.ndarray | None = None
        self._course: list[np.ndarray] = []
        self._splits = splits
        self._seed = seed
        self._judge: Judge | None = None
        #: A grid of generated pictures as PNG, of the test scores of an adversarial task.
        self.samples_png: bytes | None = None

    def scores(self, program: Program, split: Split, most: int | None = None) -> Scored:
        """The scores of a split, or of ``most`` of its samples.

        Where an epoch takes only a part of the training samples, as many are scored as there are for
        validation. Generated pictures of the test split are compared with baselines too.
        """
        real, objective = self._scored(split, most), self._task.objective
        predict = Remembering(program.predict)
        scored = score(self._task, predict, real)
        if split == "test" and not self._task.predicts_positions():
            self._outputs = predict.outputs
        if not isinstance(objective, Adversarial):
            return scored
        self._judge = self._judge or Judge(self._splits["train"])
        fakes = generate(objective, program.predict, real)
        if split == "validation":
            self._course.append(first_samples(fakes))
        if split != "test":
            return Scored(scored.scores | self._judge.distance(real.inputs, fakes))
        scores = scored.scores | self._judge.verdict(real.inputs, fakes)
        self.samples_png = sample_grid(fakes)
        return Scored(scores | self._judge.baselines(real.inputs, self._untrained(program, objective, real)))

    def _scored(self, split: Split, most: int | None) -> Samples:
        if split == "train" and self._task.samples_per_epoch is not None:
            count = len(self._splits["validation"])
            most = min(most or count, count)
        return at_most(self._splits[split], most)

    def rows(self, program: Program, split: Split, most: int | None, rows: Sequence[int]) -> Rows:
        """The scores of some of the samples that :meth:`scores` scores, by their places among them."""
        samples, places = self._scored(split, most), np.asarray(rows)
        chosen = Samples(samples.inputs[places], samples.targets[places])
        return score(self._task, program.predict, chosen).rows

    def drawn(self, program: Program) -> Drawn:
        """What a report draws of the test samples that were scored last, and of a generator's course.

        A language model's are texts, which the program is asked for.
        """
        if texts := sampled_texts(self._task, program.predict, self._classes, self._seed):
            return Drawn(Outcomes(sampled=texts))
        if self._outputs is None:
            shown = shown_epochs(len(self._course))
            return Drawn(
                course_png=epochs_grid([self._course[place] for place in shown]), course_places=shown
            )
        test = self._splits["test"]
        seen = outcomes(self._task, self._outputs, test, self._classes, self._series)
        rows = [one.index for one in seen.examples] if seen is not None else []
        return Drawn(seen, picture_row(test.inputs[rows]) if rows else None)

    def _untrained(self, program: Program, objective: Adversarial, real: Samples) -> np.ndarray:
        """Pictures that the generator makes with its initial weights."""
        trained = current_weights(program)
        program.load(initial_weights(self._task, self._seed))
        fakes = generate(objective, program.predict, real)
        program.load(trained)
        return fakes
