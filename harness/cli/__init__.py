"""The command line. Placeholder until the commands land."""
