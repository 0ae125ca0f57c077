"""One model of the user's own: loading it, reading it, and running it in a process of its own."""
