"""What an exception of a plugin or framework means to the person who reads the record."""

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "resource_exhausted", "oom when allocating")
_READ_ONLY = ("read-only", "not writeable")


def explain(error: BaseException) -> str:
    """The error in a sentence; where its cause is known, with that and what would help."""
    text = f"{type(error).__name__}: {error}".removesuffix(": ")
    if type(error).__module__.startswith("harness."):
        text = str(error)
    elif isinstance(error, MemoryError) or any(sign in text.lower() for sign in _OUT_OF_MEMORY):
        text = (
            f"memory ran out in the worker ({text}); a smaller --batch-size, a smaller width of the task, "
            "or a machine or device with more memory would help"
        )
    elif isinstance(error, ValueError) and any(sign in text for sign in _READ_ONLY):
        text += "; the data belongs to the harness: a backend that changes it must make a copy first"
    return text
