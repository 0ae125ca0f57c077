"""Text from records escaped for the formats it is written in; HTML is escaped by its templates."""

import re
import unicodedata

#: Characters that XML 1.0 (section 2.2) excludes, even as references.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CONTROL_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


def one_line(text: str) -> str:
    """The text without line ends, colours of a terminal and other control characters."""
    shown = _NOT_XML.sub("", _CONTROL_SEQUENCE.sub("", text))
    return " ".join(shown.split())


def with_lines(text: str) -> str:
    """The text with its line ends, and a visible character for every other control or format character.

    So it neither moves a terminal's cursor nor reverses the direction of what follows.
    """
    lines = _CONTROL_SEQUENCE.sub("", text).expandtabs(4).split("\n")
    return "\n".join("".join(map(_visible, line)).rstrip() for line in lines)


def _visible(character: str) -> str:
    return "\N{REPLACEMENT CHARACTER}" if unicodedata.category(character).startswith("C") else character


def for_markdown(text: str) -> str:
    """The text escaped for Markdown and HTML, on one line."""
    plain = one_line(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
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
    plain = one_line(text).replace("#", "_")
    return plain.replace("\\", r"\\").replace('"', r"\"")
