"""Search for the commit or version that changed a step: a noisy binary search with a posterior."""
