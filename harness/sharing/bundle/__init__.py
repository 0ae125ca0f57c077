"""Bundles: records in one file with all that repeating them needs, made for others and opened with care."""

from harness.sharing.bundle.confirming import confirmation
from harness.sharing.bundle.opening import opened
from harness.sharing.bundle.workplace import lay_out

__all__ = ["confirmation", "lay_out", "opened"]
