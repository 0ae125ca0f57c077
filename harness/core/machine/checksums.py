"""Checksums of JSON documents: the last field of a file is the sha256 of all bytes before it.

The checksum covers the bytes of the file, so verifying it decodes nothing. It finds damage and edits, also
edits that only format the file anew; it is no signature.
"""

import hashlib
import re

#: How a file with a checksum ends.
_END = re.compile(rb',\n *"checksum": "sha256:([0-9a-f]{64})"\n}\n\Z')
_LONGEST_END = 128
#: Key or value in the last bytes shows that there is a checksum, even if the other is damaged. Within other
#: texts, quotes are escaped.
_PART = re.compile(rb'(?<!\\)"(checksum":|sha256:)')


class ContentChanged(Exception):
    """The bytes are not those that were written; the message says so without naming the file."""

    def __init__(self, why: str = "its checksum does not match") -> None:
        super().__init__(f"was changed after it was written (damaged or edited): {why}")


def with_checksum(document: bytes) -> bytes:
    """Add the field ``checksum`` at the end of a document.

    ``document`` is a JSON object of one field or more, in one line or indented.
    """
    content = document.rstrip().removesuffix(b"}").rstrip()
    line = content.rpartition(b"\n")[2] if b"\n" in content else b""
    indent = len(line) - len(line.lstrip(b" "))
    digest = hashlib.sha256(content).hexdigest().encode()
    return content + b",\n" + b" " * indent + b'"checksum": "sha256:' + digest + b'"\n}\n'


def verify_checksum(content: bytes) -> bool:
    """Check that the checksum of a file fits its content; False if the file has no checksum."""
    end = content[-_LONGEST_END:]
    found = _END.search(end)
    if found is None:
        if _PART.search(end):
            raise ContentChanged
        return False
    before = memoryview(content)[: len(content) - len(end) + found.start()]
    if hashlib.sha256(before).hexdigest().encode() != found[1]:
        raise ContentChanged
    return True
