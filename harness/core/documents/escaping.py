"""Text from records made safe for what it is written into. Renderers apply this to every text."""

import re

#: Characters that XML 1.0 (section 2.2) excludes, even as references.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CONTROL_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
#: Control characters but line ends and tabs, and characters that change direction or are not seen. The two
#: joiners stay: scripts and emoji need them.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff"
    "\ud800-\udfff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
_UNSEEN_JSON = re.compile(
    r"\\u(?:000[0-8bBcCeEfF]|001[0-9a-fA-F]|007f|008.|009.|00ad|061c|200[bef]|202[a-e]|206."
    r"|feff|fff[9abAB])"
)
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def visible(text: str) -> str:
    """The text with its lines, and a visible character for every control or format character.

    The text can neither move a terminal's cursor nor reverse the direction of what follows.
    """
    if text.isascii() and text.isprintable():
        return text
    return _UNSEEN.sub(_REPLACEMENT, _CONTROL_SEQUENCE.sub("", text.replace("\r\n", "\n")))


def visible_json(text: str) -> str:
    """The same for ASCII JSON, in which such characters are escaped."""
    return _UNSEEN_JSON.sub(r"\\ufffd", text)


def with_lines(text: str) -> str:
    """A text of several lines, made visible, without tabs and blanks at line ends."""
    return "\n".join(line.rstrip() for line in visible(text).expandtabs(4).split("\n"))


def one_line(text: str) -> str:
    """The text without line ends, colours of a terminal and other control characters."""
    shown = _NOT_XML.sub("", _CONTROL_SEQUENCE.sub("", text))
    return " ".join(shown.split())


def for_markdown(text: str) -> str:
    """The text escaped for Markdown and HTML, on one line."""
    plain = visible(one_line(text)).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#~])", r"\\\1", plain)


def for_github_message(text: str) -> str:
    """The message of a workflow command (``escapeData`` of GitHub's actions/toolkit)."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def for_github_property(text: str) -> str:
    """A property of a workflow command (``escapeProperty`` of GitHub's actions/toolkit)."""
    return for_github_message(text).replace(":", "%3A").replace(",", "%2C")


def for_openmetrics_label(text: str) -> str:
    """The value of a label (OpenMetrics 1.0, section 3.2.1, ``escaped-string``).

    Without ``#``: the format allows it, but GitLab's reader treats the rest of the line as a comment.
    """
    plain = visible(one_line(text)).replace("#", "_")
    return plain.replace("\\", r"\\").replace('"', r"\"")
