"""What a kind of study is: variants of a task, what is measured of each, and the texts of its page.

A study is data: its runs are ordinary runs, and its sections, charts and quantities are named, not coded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec


class Range(msgspec.Struct, frozen=True):
    """A task option that is tuned between ``low`` and ``high``, on a logarithmic scale if ``log``."""

    option: str
    low: float
    high: float
    log: bool = True


class StudyVariant(msgspec.Struct, frozen=True):
    """A way to train the task, with a ``name``; ``assignments`` of its options, as ``--set`` takes them.

    ``meaning`` says in one or two sentences what the variant is. ``ranges`` are tuned first, with as many
    trials as every other variant gets. ``data`` marks one that changes the training data to show what data
    are worth; it is never recommended. ``epochs`` multiplies the epochs of the task, such as 4 for a quarter
    of the data in as many steps; it is scored as often as the others. ``objectives`` are the kinds of task
    that it is for, by the tags of their objectives such as ``regression``; all of them if empty.
    """

    name: str
    assignments: tuple[str, ...] = ()
    meaning: str = ""
    ranges: tuple[Range, ...] = ()
    data: bool = False
    epochs: float = 1.0
    objectives: tuple[str, ...] = ()


class QuickForm(msgspec.Struct, frozen=True):
    """The classroom form of a study, ``--quick``: it takes minutes and still shows the lesson.

    ``seeds`` and ``trials`` replace those of the kind. ``epochs`` multiplies the task's epochs; ``variants``
    are the names of those that are trained, of all if empty. ``dataset``: another one than the task's own.
    ``assignments`` of options hold for every variant, such as ``width=0.5``.
    """

    seeds: int = 3
    trials: int = 4
    epochs: float = 1.0
    variants: tuple[str, ...] = ()
    dataset: str | None = None
    assignments: tuple[str, ...] = ()


class StudyKind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of study, which a plugin provides: ``harness study NAME``.

    ``question`` heads the page, ``summary`` is one line for lists; ``noun`` is what the ``variants`` are:
    optimizer, loss, remedy. ``tasks`` are those it is made for, the first by default.

    ``reference``: every variant is compared with the ``first``, or with the one that is ``best`` on
    validation data, which is known before the seeds that are compared. ``at``: test scores after the ``last``
    epoch, or with the weights of the ``best`` one. ``criterion`` is what tuning makes best on validation
    data: the task's ``score`` at that epoch, or the ``loss``.

    ``quantities`` are measured of each variant (:mod:`harness.learning.study.quantities` has their names; any
    other name is that of a test score). ``decisive`` are those that decide whether a variant is better: it is
    if one is certainly better and none certainly worse.

    ``sections`` are the parts of the page in order (:mod:`harness.learning.study.page` has their names).
    ``title``
    and ``meaning``, paragraphs, explain the question to who meets it first; ``terms`` explains words.

    ``early_stopping`` adds what stopping the first variant at its best epoch would have done. ``trials`` and
    ``seeds`` are the numbers by default, and ``quick`` those of the classroom.
    """

    name: str
    question: str
    summary: str
    noun: str
    tasks: tuple[str, ...]
    variants: tuple[StudyVariant, ...]
    quantities: tuple[str, ...] = ("score", "time")
    decisive: tuple[str, ...] = ("score",)
    sections: tuple[str, ...] = ("effects", "variants")
    title: str = ""
    meaning: tuple[str, ...] = ()
    terms: Mapping[str, str] = {}
    reference: Literal["first", "best"] = "first"
    at: Literal["last", "best"] = "last"
    criterion: Literal["score", "loss"] = "score"
    early_stopping: bool = False
    trials: int = 12
    seeds: int = 5
    quick: QuickForm = QuickForm()

    def __post_init__(self) -> None:
        """Refuse what cannot be a study.

        Raises:
            ValueError: says what is wrong.
        """
        names = [variant.name for variant in self.variants]
        if not names:
            raise ValueError(f"study {self.name} has no variants")
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"study {self.name} has two variants named {min(twice)!r}")
        if unknown := set(self.quick.variants) - set(names):
            raise ValueError(f"study {self.name}: quick names the unknown variant {min(unknown)!r}")
        if not self.tasks:
            raise ValueError(f"study {self.name} names no task that it is made for")
        for each in (range_ for variant in self.variants for range_ in variant.ranges):
            if not each.low < each.high or (each.log and each.low <= 0):
                raise ValueError(
                    f"study {self.name}: the range of {each.option} is {each.low} to {each.high}"
                )
