"""What does a trained network betray of its training samples? Claims of DP-SGD, and attacks on records."""
