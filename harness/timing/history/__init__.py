"""Changes of level over the gates of a branch."""
