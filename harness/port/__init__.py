"""Two models of the user's own in two frameworks: whether they are the same, and if not, where and why.

Sides run in processes of their own and describe what they do in the vocabulary of :mod:`harness.tracing`.
This room matches their parameters, compares them in float64, walks to the calls that differ, and names the
cause by trying it in plain NumPy. It may import the worker's processes and the records. It must not know a
framework, nor how findings are shown.
"""
