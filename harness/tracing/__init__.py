"""What a model of the user's own does, call by call: the vocabulary that all frameworks are translated into.

A *side* is a model in its own process. It records its calls of known functions and layers as
:class:`~harness.tracing.calls.Call`, each with its semantics, the values that went in and out, and the
parameters that it used. Plugins that translate their framework share the recorder, and readings of functions
that libraries of arrays have in common. This package may import nothing of harness but the errors, and knows
no framework. :mod:`harness.port` compares two sides.
"""
