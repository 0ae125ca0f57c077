"""Which versions identify a backend: its own, its engine's and its plugin's."""

#: The key under which a framework's versions tell what the backend came with, where that is not our own.
PLUGIN = "harness plugin"


def side_versions(backend: str, framework: dict[str, str]) -> dict[str, str]:
    """The versions that make one side of a backend another, of what it said of itself.

    They are its own, that of what it is a part of (``keras`` of ``keras-jax``), its engine's, and that of the
    plugin that it came with.
    """
    names = dict.fromkeys([backend.partition("-")[0], backend, framework.get("engine", ""), PLUGIN])
    return {name: framework[name] for name in names if name in framework}
