"""Kinds of study: variants of a task, the quantities that are measured of each, and the texts of the page.

A kind is data: its runs are ordinary runs, and it names its quantities and sections instead of coding them.
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

    ``meaning`` describes the variant in one or two sentences. ``ranges`` are tuned first, with as many trials
    as for every other variant. ``data`` marks a variant that changes the training data to show what data are
    worth; it is never recommended. ``epochs`` multiplies the epochs of the task, such as 4 for a quarter of
    the data in as many steps; the variant is scored after as many steps as the others. ``objectives`` are the
    kinds of task that the variant applies to, by the tags of their objectives such as ``regression``; empty:
    all.
    """

    name: str
    assignments: tuple[str, ...] = ()
    meaning: str = ""
    ranges: tuple[Range, ...] = ()
    data: bool = False
    epochs: float = 1.0
    objectives: tuple[str, ...] = ()


class QuickForm(msgspec.Struct, frozen=True):
    """The short version of a study for teaching, ``--quick``, which takes minutes.

    ``seeds`` and ``trials`` replace those of the kind. ``epochs`` multiplies the task's epochs; ``variants``
    are the names of the variants that are trained; empty: all. ``dataset`` replaces the task's own.
    ``assignments`` of options hold for every variant, such as ``width=0.5``.
    """

    seeds: int = 8
    trials: int = 8
    epochs: float = 1.0
    variants: tuple[str, ...] = ()
    dataset: str | None = None
    assignments: tuple[str, ...] = ()


class StudyKind(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of study, which a plugin provides: ``harness study NAME``.

    ``question`` heads the page, ``summary`` is one line for lists; ``noun`` is what the ``variants`` are:
    optimizer, loss, remedy. ``tasks`` are the tasks that it is made for, the first by default.

    ``reference``: every variant is compared with the ``first``, or with the ``best`` of the others. ``at``:
    test scores after the ``last`` epoch, or with the weights of the ``best`` one. ``criterion`` is optimised
    by tuning on validation data: the task's ``score`` at that epoch, or the ``loss``.

    ``quantities`` are measured of each variant; a name is that of a quantity, or of a test score.
    ``decisive`` quantities decide: a variant is better if one of them is certainly better and none is
    certainly worse.

    ``sections`` are the parts of the page in their order. ``title`` and ``meaning``, paragraphs, explain the
    question to a newcomer; ``terms`` explains words. ``ask_next`` are questions that the result leads to;
    ``exercise`` is a task for a class, and ``solution`` its answer, which the page folds. An unknown section
    or quantity is refused when a study begins; the guide "Add a kind of study" lists the known ones.

    ``early_stopping`` adds the effect of stopping the first variant at its best epoch. ``trials`` and
    ``seeds`` are defaults; ``quick`` is the short version.
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
    ask_next: tuple[str, ...] = ()
    exercise: str = ""
    solution: str = ""
    reference: Literal["first", "best"] = "first"
    at: Literal["last", "best"] = "last"
    criterion: Literal["score", "loss"] = "score"
    early_stopping: bool = False
    trials: int = 12
    seeds: int = 8
    quick: QuickForm = QuickForm()

    def __post_init__(self) -> None:
        """Check the fields.

        Raises:
            ValueError: a field is wrong; the message names it.
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
        if not self.decisive:
            raise ValueError(f"study {self.name} names no decisive quantity")
        for each in (range_ for variant in self.variants for range_ in variant.ranges):
            if not each.low < each.high or (each.log and each.low <= 0):
                raise ValueError(
                    f"study {self.name}: the range of {each.option} is {each.low} to {each.high}"
                )
