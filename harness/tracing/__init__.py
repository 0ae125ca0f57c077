"""What a model of the user's own does, call by call: the vocabulary that all frameworks are translated into.

A *side* is a model in its own process. It records its calls of known functions and layers as
:class:`~harness.tracing.calls.Call`, each with its semantics, the values that went in and out, and the
parameters that it used. This room holds data alone and may import nothing of harness; plugins translate their
framework into it, and :mod:`harness.port` compares two sides.
"""
