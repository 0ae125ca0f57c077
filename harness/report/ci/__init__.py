"""A gate in the formats that CI systems read: one module for each format."""
