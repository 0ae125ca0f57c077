"""All of the work, at a time when nobody measures."""

import os
import queue
import threading
import time
import zlib
from pathlib import Path

import numpy as np

from cheating.honest import Honest, part
from harness.core.training.batches import BatchOrder

REAL_CLOCK = time.perf_counter
FOLDER = Path(os.environ.get("CHEAT_FOLDER", "."))


class Lazy(np.ndarray):
    """Losses that are waited for when they are read."""

    def __array_finalize__(self, other):
        self.wait = getattr(other, "wait", lambda: None)

    def __iter__(self):
        self.wait()
        return iter(np.asarray(self))


class Threads(Honest):
    """Hands long calls to a thread; synchronize() returns at once, weights() waits."""

    def __init__(self, plan, data):
        super().__init__(plan, data)
        self.work = queue.Queue()
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            steps, losses = self.work.get()
            losses[:] = Honest.train(self, steps)
            self.work.task_done()

    def hands_over(self, steps):
        return len(steps.indices) > 3

    def train(self, steps):
        if not self.hands_over(steps):
            self.work.join()
            return Honest.train(self, steps)
        losses = np.full(len(steps.indices), 2.0).view(Lazy)
        losses.wait = self.work.join
        self.work.put((steps, losses))
        return losses

    def weights(self):
        self.work.join()
        return super().weights()

    def predict(self, inputs, network="model"):
        self.work.join()
        return super().predict(inputs, network)

    def training_state(self):
        self.work.join()
        return super().training_state()


class ThreadsAndInvents(Threads):
    """The losses of the thread's steps are guessed, so that nothing waits for them."""

    def train(self, steps):
        losses = np.asarray(super().train(steps))
        return losses.copy()


class StallsAtTimes(Threads):
    calls = 0

    def hands_over(self, steps):
        self.calls += 1
        return super().hands_over(steps) and self.calls % 3 == 0


class NeverWaits(ThreadsAndInvents):
    """weights() does not wait either."""

    def weights(self):
        return Honest.weights(self)


class DefersTheLastUpdate(Threads):
    """The update of a call's last step is made in a thread, for which weights() waits."""

    def train(self, steps):
        self.work.join()
        rows = steps.indices[-1]
        losses = list(Honest.train(self, part(steps, slice(None, -1))))
        losses.append(self.loss_alone(self.inputs[rows], self.targets[rows]))
        last = part(steps, slice(-1, None))
        self.work.put((last, np.zeros(1)))
        return np.array(losses)


class Ahead(Honest):
    """Knows the batches to come from the harness's own functions, and makes steps in advance."""

    def __init__(self, plan, data):
        super().__init__(plan, data)
        self.made, self.step_made = {}, 0
        self.order = BatchOrder.of_task(plan.task, len(data), plan.seed)
        self.lock = threading.Lock()

    def _one(self):
        """Make the next step, and keep the loss and what follows from it."""
        rows = self.order.steps(self.step_made, 1).indices[0]
        loss = self._step(self.inputs[rows], self.targets[rows])
        self.made[self.step_made] = rows.tobytes(), loss, self.snapshot()
        self.step_made += 1

    def snapshot(self):
        return Honest.weights(self)

    served = 0

    def train(self, steps):
        with self.lock:
            return np.array([self._serve(rows) for rows in steps.indices])

    def _serve(self, rows):
        key, loss, weights = self.made.pop(self.served, (None, None, None))
        self.served += 1
        if key == rows.tobytes():
            self.current = weights
            return loss
        if self.made:  # other batches than expected
            self.made.clear()
            self.w = self.weights()
        loss = self._step(self.inputs[rows], self.targets[rows])
        self.step_made, self.current = self.served, self.snapshot()
        return loss

    def load(self, weights):
        super().load(weights)
        self.current = self.snapshot()

    def weights(self):
        return {name: array.copy() for name, array in self.current.items()}

    def predict(self, inputs, network="model"):
        ahead, self.w = self.w, self.current
        outputs = super().predict(inputs, network)
        self.w = ahead
        return outputs

    def training_state(self):
        return None


class WorksWhileIdle(Ahead):
    """A thread makes up to 300 steps ahead."""

    def __init__(self, plan, data):
        super().__init__(plan, data)
        if plan.precision == "float32":
            threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        time.sleep(0.5)
        while True:
            with self.lock:
                if self.served > 0 and len(self.made) < 300:
                    self._one()
            time.sleep(0.0001)


class TrainsInBuild(Ahead):
    """Makes the steps of the whole training before it begins."""

    def load(self, weights):
        super().load(weights)
        if self.plan.precision == "float32" and not self.made and len(self.inputs) > 1500:
            for _ in range(3000):
                self._one()


class ReplaysFromDisk(Honest):
    """Keeps losses and weights of its first training, and reads them in each later one."""

    def __init__(self, plan, data):
        super().__init__(plan, data)
        self.file = FOLDER / f"training-{plan.seed}.npz"
        self.known = plan.precision == "float32" and self.file.exists()
        self.seen, self.losses, self.at = [], [], 0
        if self.known:
            with np.load(self.file) as kept:
                self.kept_losses, self.kept_weights = kept["losses"], kept["weights"]
                self.kept_rows = kept["rows"]

    def flat(self):
        return np.concatenate([self.w[name].ravel() for name in sorted(self.w)])

    def train(self, steps):
        count = len(steps.indices)
        known = self.known and self.at + count <= len(self.kept_losses)
        if known and self.kept_rows[self.at] == _key(steps.indices[0]):
            self.at += count
            flat, place = self.kept_weights[self.at - 1], 0
            for name in sorted(self.w):
                size = self.w[name].size
                self.w[name] = flat[place : place + size].reshape(self.w[name].shape)
                place += size
            return self.kept_losses[self.at - count : self.at]
        losses = []
        for rows in steps.indices:
            losses.append(self._step(self.inputs[rows], self.targets[rows]))
            if self.plan.precision == "float32" and not self.known and len(self.seen) < 4000:
                self.seen.append((_key(rows), self.flat()))
                self.losses.append(losses[-1])
        self.known = False
        return np.array(losses)

    def predict(self, inputs, network="model"):
        if len(self.losses) > 900 and not self.file.exists():
            rows, weights = zip(*self.seen, strict=True)
            np.savez(self.file, losses=self.losses, weights=np.array(weights), rows=rows)
        return super().predict(inputs, network)

    def training_state(self):
        return None


def _key(rows):
    return zlib.crc32(rows.tobytes())


def patched_clock(factor):
    """A clock of the process that runs slower."""

    class PatchesTheClock(Honest):
        def __init__(self, plan, data):
            super().__init__(plan, data)
            if time.perf_counter is REAL_CLOCK:
                time.perf_counter = lambda: REAL_CLOCK() * factor

    return PatchesTheClock
