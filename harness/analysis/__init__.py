"""From records to findings: which runs are comparable, speed, quality, overfitting, and studies.

This room imports records and the statistics. It must not know how findings are written: no sentence is made
here.
"""
