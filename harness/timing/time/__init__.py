"""The time of one step of the user's own, without a comparison."""
