"""What tests share: made-up records, data files, a browser, and the command in a process of its own."""
