"""Statistics on plain numbers: estimates, intervals, equivalence, and when times have settled."""
