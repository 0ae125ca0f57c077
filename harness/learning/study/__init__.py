"""Studies: a kind as data, variants, tuning, effects with intervals, and their page."""
