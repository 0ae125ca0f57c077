"""Documents as nodes and their renderers, charts, numbers in words; kinds of record and finding records."""
