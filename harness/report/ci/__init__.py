"""A gate in the forms that CI systems read; each module knows one form and measures nothing."""
