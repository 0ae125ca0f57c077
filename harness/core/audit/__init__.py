"""The audit of timed work: is it the work that was reported?

Runs, duels and gates share it: :mod:`harness.core.audit.segments` keeps states of the training, and
:mod:`harness.core.audit.audit` has a drawn part of it repeated by a new process.
:mod:`harness.core.audit.budgets` has all limits. This folder may import workers, certificates and training;
it must not know records of runs, duels or gates.
"""
