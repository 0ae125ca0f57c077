"""Escaping of texts from records for terminals, pages and other formats. Renderers escape every text."""

import re

#: Characters that XML 1.0 (section 2.2) excludes, even as references.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CONTROL_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
#: Control characters except line ends and tabs, and characters that are invisible or change the direction of
#: text. The two joiners stay: scripts and emoji need them.
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
    """Keep the lines of a text, remove control sequences, and replace other control and format characters.

    The result can neither move a terminal's cursor nor reverse the direction of the text that follows.
    """
    if text.isascii() and text.isprintable():
        return text
    return _UNSEEN.sub(_REPLACEMENT, _CONTROL_SEQUENCE.sub("", text.replace("\r\n", "\n")))


def visible_json(text: str) -> str:
    """Replace control and format characters in ASCII JSON, where they are escaped."""
    return _UNSEEN_JSON.sub(r"\\ufffd", text)


def with_lines(text: str) -> str:
    """Make a text of several lines :func:`visible`, without tabs and without blanks at line ends."""
    return "\n".join(line.rstrip() for line in visible(text).expandtabs(4).split("\n"))


def one_line(text: str) -> str:
    """Return the text on one line, without control sequences and without characters that XML excludes."""
    shown = _NOT_XML.sub("", _CONTROL_SEQUENCE.sub("", text))
    return " ".join(shown.split())


def for_markdown(text: str) -> str:
    """Escape the text for Markdown and HTML, on one line."""
    plain = visible(one_line(text)).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_\[\]|#~])", r"\\\1", plain)


def for_github_message(text: str) -> str:
    """Escape the message of a workflow command (``escapeData`` of GitHub's actions/toolkit)."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def for_github_property(text: str) -> str:
    """Escape a property of a workflow command (``escapeProperty`` of GitHub's actions/toolkit)."""
    return for_github_message(text).replace(":", "%3A").replace(",", "%2C")
