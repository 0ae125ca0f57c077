"""What did it learn? Scores and explanations of weights that a run has kept."""
