"""The Atom feed of a branch (RFC 4287): changes of level, and gates that failed."""

import hashlib
from collections.abc import Iterable
from xml.etree import ElementTree

from harness.core.documents.escaping import visible
from harness.sharing.publish.branch import Branch
from harness.sharing.publish.index import Entry
from harness.timing.gate.words import change

_ATOM = "http://www.w3.org/2005/Atom"
_MOST_ENTRIES = 100


def feed(title: str, branch: Branch, gates: Iterable[Entry]) -> bytes:
    """Return the newest changes of level of ``branch`` and failed ``gates`` as an Atom feed."""
    news = [
        (
            f"{each.point.date}T00:00:00Z",
            f"{each.name}: {change(each.series.metric, each.size)} at {branch.commit(each.point).text}",
            branch.title(each.point),
            each.address,
        )
        for each in branch.changes
    ]
    news += [
        (each.time, f"{each.verdict}: {each.task}", each.outcome, each.page)
        for each in gates
        if each.verdict == "FAIL"
    ]
    news.sort(reverse=True)
    root = ElementTree.Element("feed", xmlns=_ATOM)
    _add(root, "title", title)
    _add(root, "id", _identifier(title))
    _add(root, "updated", news[0][0] if news else "1970-01-01T00:00:00Z")
    _add(_add(root, "author", ""), "name", "dl-harness")
    for time, name, text, address in news[:_MOST_ENTRIES]:
        entry = _add(root, "entry", "")
        _add(entry, "title", name)
        _add(entry, "id", _identifier(f"{time} {name} {address}"))
        _add(entry, "updated", time)
        ElementTree.SubElement(entry, "link", href=address)
        _add(entry, "summary", text or name)
    content: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return content


def _add(parent: ElementTree.Element, name: str, text: str) -> ElementTree.Element:
    child = ElementTree.SubElement(parent, name)
    child.text = visible(text)
    return child


def _identifier(text: str) -> str:
    """Return a name that stays, as a URN (RFC 4122)."""
    number = hashlib.sha256(text.encode()).hexdigest()
    return f"urn:uuid:{number[:8]}-{number[8:12]}-{number[12:16]}-{number[16:20]}-{number[20:32]}"
