"""Which of a row of commits or versions changed a step: a noisy binary search with a posterior."""
