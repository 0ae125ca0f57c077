"""From records to findings: comparable runs, speed, quality, overfitting and studies.

This room imports records, duels and the statistics. It must not know how findings are printed: it makes names
and titles, but no sentences other than error messages.
"""
