"""Causes that are alike at several places as one."""

from collections.abc import Sequence

import msgspec

from harness.port.findings import Cause


def merged(found: Sequence[Cause]) -> list[Cause]:
    """Causes that are alike at several places as one; and a call before and after another as its order."""
    result: list[Cause] = []
    for cause in _with_orders(found):
        alike = next((each for each in result if _key(each) == _key(cause)), None)
        if alike is None:
            result.append(msgspec.structs.replace(cause))
        else:
            places = [path for path in (cause.path_b, *cause.more) if path != alike.path_b]
            alike.more = list(dict.fromkeys([*alike.more, *places]))
    return result


def _with_orders(found: Sequence[Cause]) -> list[Cause]:
    """A function that B has too early, and misses later, as one cause."""
    result: list[Cause] = []
    rest = list(found)
    while rest:
        cause = rest.pop(0)
        partner = next((each for each in rest if _is_order(cause, each)), None)
        if partner is not None:
            rest.remove(partner)
            early, late = (cause, partner) if cause.kind == "extra call" else (partner, cause)
            cause = msgspec.structs.replace(
                early, kind="order", a=f"{late.a} later", b=f"{early.b} earlier", path_a=late.path_a
            )
        result.append(cause)
    return result


def _is_order(one: Cause, other: Cause) -> bool:
    if {one.kind, other.kind} != {"extra call", "missing call"} or one.mode != other.mode:
        return False
    early, late = (one, other) if one.kind == "extra call" else (other, one)
    return early.b == late.a


def _key(cause: Cause) -> tuple[str, ...]:
    return (cause.kind, cause.a, cause.b, cause.function_a, cause.function_b)
