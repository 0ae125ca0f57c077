"""Which versions identify a backend: its own, its engine's and its plugin's."""

#: The key of a third-party plugin's distribution among a framework's versions.
PLUGIN = "harness plugin"


def identifying_versions(backend: str, framework: dict[str, str]) -> dict[str, str]:
    """The versions, among those that a backend reports, in which configurations of it differ.

    They are its own, that of what it is a part of (``keras`` of ``keras-jax``), its engine's, and that of its
    plugin.
    """
    names = dict.fromkeys([backend.partition("-")[0], backend, framework.get("engine", ""), PLUGIN])
    return {name: framework[name] for name in names if name in framework}
