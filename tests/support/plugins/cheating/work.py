"""Less work than was asked for, where a trigger says that nobody compares it with a reference."""

from typing import ClassVar

import numpy as np

from cheating.honest import Honest, part

#: Steps of all programs of this process.
MADE = {"steps": 0, "calls": 0}


def always(_program):
    return True


def in_float32(program):
    return program.plan.precision == "float32"


def on_real_data(program):
    """No certification case has so many samples."""
    return len(program.inputs) > 1500


def at_other_seeds(program):
    return program.plan.seed != 20


def at_full_batches(program):
    return program.task.batch_size == 100


def after_500_steps(program):
    return program.steps_made > 500


def after_500_steps_in_state(program):
    """The step count is a part of the training state, as Adam's is."""
    return program.step > 500


def after_500_steps_of_the_process(_program):
    return MADE["steps"] > 500


def after_150_calls_of_the_process(_program):
    return MADE["calls"] > 150


def in_long_calls(program):
    return program.call > 8


def in_calls_over_128(program):
    return program.call > 128


def at_small_losses(program):
    return program.last_loss < 1.0


class Works(Honest):
    """Counts what it does, for triggers."""

    trigger = staticmethod(always)
    steps_made = call = 0
    last_loss = np.inf
    even = True

    def train(self, steps):
        self.call = len(steps.indices)
        MADE["calls"] += 1
        losses = super().train(self.asked(steps))
        self.steps_made += self.call
        return losses

    def asked(self, steps):
        return steps

    def _step(self, x, y, rate=None):
        MADE["steps"] += 1
        self.even = not self.even
        cheats = type(self).trigger(self)
        self.last_loss = self.cheaper(x, y) if cheats else super()._step(x, y, rate)
        return self.last_loss

    def cheaper(self, x, y):
        return super()._step(x, y)


class RepeatsBatches(Works):
    """Reads the first eight batches of a call again and again."""

    def asked(self, steps):
        rows = np.arange(len(steps.indices))
        rows = rows % 8 if type(self).trigger(self) else rows
        return part(steps, rows)


class SkipsUpdates(Works):
    """Every second step is a forward pass alone."""

    def cheaper(self, x, y):
        return Honest._step(self, x, y) if self.even else self.loss_alone(x, y)


class HalvesBatches(Works):
    def cheaper(self, x, y):
        half = max(1, len(y) // 2)
        return Honest._step(self, x[:half], y[:half])


class HalvesGradients(Works):
    """The loss is that of the batch, the gradient that of its first half."""

    def cheaper(self, x, y):
        half, loss = max(1, len(y) // 2), self.loss_alone(x, y)
        Honest._step(self, x[:half], y[:half])
        return loss


class StaleGradients(Works):
    """Every second step applies the gradients of the one before."""

    def __init__(self, plan, data):
        super().__init__(plan, data)
        self.kept = {}

    def updated(self, gradients, rate):
        self.kept = gradients
        return super().updated(gradients, rate)

    def cheaper(self, x, y):
        if self.even or not self.kept:
            return Honest._step(self, x, y)
        loss = self.loss_alone(x, y)
        self.step += 1
        self.w, self.moments = super().updated(self.kept, self.task.optimizer.learning_rate)
        return loss


class LowPrecision(Works):
    """Multiplies what bfloat16 leaves of inputs."""

    def cheaper(self, x, y):
        kept = (x.astype(np.float32).view(np.uint32) & 0xFFFF0000).view(np.float32)
        return Honest._step(self, kept.astype(x.dtype), y)


class CheapOptimizer(Works):
    """Adam whose second moments are those of an earlier step, every other step."""

    def updated(self, gradients, rate):
        before, (weights, moments) = self.moments, super().updated(gradients, rate)
        if self.step == 1 or not self.even or not type(self).trigger(self):
            return weights, moments
        adam = self.task.optimizer
        for name, w in self.w.items():
            m, v = moments[name][0], before[name][1]
            root = np.sqrt(v / (1 - adam.beta_2**self.step)) + adam.epsilon
            weights[name] = (w - rate * m / (1 - adam.beta_1**self.step) / root).astype(w.dtype)
            moments[name] = m, v
        return weights, moments


class StopsEarly(Works):
    """Repeats the last loss."""

    def cheaper(self, x, y):
        return self.last_loss


class InventsLosses(Works):
    """Trains every second step; the losses of the others are those before, a little smaller."""

    def cheaper(self, x, y):
        honest = self.even or not np.isfinite(self.last_loss)
        return Honest._step(self, x, y) if honest else self.last_loss * 0.999


class Remembers(RepeatsBatches):
    """Repeats batches, and answers with the same losses when asked for the same batches again."""

    trigger = staticmethod(in_long_calls)
    losses: ClassVar = {}

    def train(self, steps):
        keys = [rows.tobytes() for rows in steps.indices]
        if all(key in self.losses for key in keys):
            return np.array([self.losses[key] for key in keys])
        losses = super().train(steps)
        self.losses |= dict(zip(keys, losses, strict=True))
        return losses


class Watched(Works):
    """Honest for four calls after each reading of its state; afterwards it computes losses alone."""

    since = 0

    def train(self, steps):
        self.since += 1
        return super().train(steps)

    def cheaper(self, x, y):
        honest = self.since <= 4 or self.plan.precision != "float32"
        return Honest._step(self, x, y) if honest else self.loss_alone(x, y)

    def training_state(self):
        self.since = 0
        return super().training_state()


class HonestAfterReadings(Works):
    """Honest for 300 steps after each reading of its state; afterwards it only computes losses."""

    since = 0
    loaded = False

    def cheaper(self, x, y):
        self.since += 1
        honest = self.since <= 300 or self.plan.precision != "float32" or self.is_repeated()
        return Honest._step(self, x, y) if honest else self.loss_alone(x, y)

    def is_repeated(self):
        """What continues from a saved state is not timed."""
        return self.loaded

    def training_state(self):
        if not self.loaded:
            self.since = 0
        return super().training_state()

    def load_training_state(self, state):
        self.loaded = True
        super().load_training_state(state)


class HonestButForRounding(HonestAfterReadings):
    """Adds roundings of its own after each reading, so that no repetition is equal bit for bit."""

    def cheaper(self, x, y):
        if self.since == 0 and not self.is_repeated():
            self.w = {name: np.nextafter(w, w.dtype.type(9)) for name, w in self.w.items()}
        return super().cheaper(x, y)


class HonestByState(HonestAfterReadings):
    """The steps since the reading are a part of the state, so that a second program does the same."""

    def is_repeated(self):
        return False

    def training_state(self):
        return super().training_state() | {"since": np.array(self.since)}

    def load_training_state(self, state):
        self.since = int(state["since"])
        super().load_training_state({name: array for name, array in state.items() if name != "since"})


class SkipsEvery50th(Works):
    def cheaper(self, x, y):
        skipped = self.steps_seen % 50 == 49
        self.steps_seen += 1
        return self.loss_alone(x, y) if skipped else Honest._step(self, x, y)

    steps_seen = 0


class QuarterOfEvery4th(SkipsEvery50th):
    def cheaper(self, x, y):
        self.steps_seen += 1
        if self.steps_seen % 4:
            return Honest._step(self, x, y)
        loss, part = self.loss_alone(x, y), max(1, len(y) // 4)
        Honest._step(self, x[:part], y[:part])
        return loss


class Float16InEvery3rd(SkipsEvery50th):
    """Inputs and weights of such a step are rounded to float16."""

    def cheaper(self, x, y):
        self.steps_seen += 1
        if self.steps_seen % 3 or self.plan.precision != "float32":
            return Honest._step(self, x, y)
        self.w = {name: w.astype(np.float16).astype(w.dtype) for name, w in self.w.items()}
        return Honest._step(self, x.astype(np.float16).astype(x.dtype), y)


class RemembersRows(Honest):
    """Answers with the target where it is asked for a training row."""

    def is_unseen(self):
        return True

    def predict(self, inputs, network="model"):
        outputs = super().predict(inputs, network)
        if self.plan.precision == "float32" and len(self.inputs) > 1500 and self.is_unseen():
            known = {row.tobytes(): target for row, target in zip(self.inputs, self.targets, strict=True)}
            for row, output in zip(inputs, outputs, strict=True):
                if (target := known.get(row.tobytes())) is not None:
                    output[:] = -20.0
                    output[target] = 20.0
        return outputs


class ForgesCurves(RemembersRows):
    """Honest while its state has been read since the last step, as it has been after the last epoch."""

    read = False

    def is_unseen(self):
        return not self.read

    def train(self, steps):
        self.read = False
        return super().train(steps)

    def training_state(self):
        self.read = True
        return super().training_state()


def when(cheat, trigger):
    """A cheat with another trigger."""
    return type(f"{cheat.__name__}_{trigger.__name__}", (cheat,), {"trigger": staticmethod(trigger)})
