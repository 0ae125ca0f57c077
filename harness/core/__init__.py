"""What several families need: runs, their proof, their records, and the command line. Names no family."""
