"""How well does it learn? Comparisons of runs, overfitting, the report of runs, and studies."""
