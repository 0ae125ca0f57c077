"""The command line: features and their commands, options, console and progress."""
