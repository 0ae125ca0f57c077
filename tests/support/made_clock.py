"""Programs on a machine whose time is simulated, for tests of clocks that no load can disturb."""

import numpy as np

from harness.testing.readings import Reading

STEP = 0.001


class Machine:
    """An honest program on a machine whose time is simulated. Faults override its methods."""

    longest_call = 1 << 13
    #: By how much its steps are slower than STEP.
    pace = 1.0

    def __init__(self, seed=0):
        self.chance = np.random.default_rng(seed)
        self.now = self.device_free_at = self.taken = 0.0
        self.made = 0

    def disturb(self, seconds):
        """The part of this work that others delay it by."""
        return 0.0

    def work(self, seconds):
        delay = self.disturb(seconds)
        self.taken += delay
        self.now += seconds + delay

    def wait(self):
        self.now = max(self.now, self.device_free_at)

    def block(self, steps):
        start = self.now
        self.train(steps)
        self.made += steps
        return self.now - start

    def train(self, steps):
        self.work(self.pace * STEP * steps)

    def reading(self):
        start = self.now
        self.wait()
        self.work(0.0005)
        return Reading(self.now - start, self.made)

    def hindered(self):
        taken, self.taken = self.taken, 0.0
        return taken

    threads = 1

    def rest(self, seconds):
        """An idle program uses no CPU."""
        self.now += seconds
        return 0.0

    def asked(self, request, _reply):
        """A request beside those to train."""

    def even_steps(self, fewest):
        return fewest


class Busy(Machine):
    """Two other programs compete: delays of up to several times the work, most of them after long work."""

    def disturb(self, seconds):
        slices = self.chance.poisson(seconds / 0.004) + (self.chance.random() < 0.5)
        return float(self.chance.uniform(0.002, 0.012, slices).sum())


class Unmeasured(Busy):
    """The same, where the system does not report who had to wait; few delays are this long."""

    def disturb(self, seconds):
        delay = super().disturb(seconds)
        self.now += 0.02 * delay
        return delay * 0.98


class HandsOff(Machine):
    """Long calls hand the work to a thread; synchronize returns at once, weights() waits."""

    def train(self, steps):
        if steps < 8:
            super().train(steps)
        else:
            self.device_free_at = max(self.device_free_at, self.now) + STEP * steps
            self.work(STEP * steps / 5)
