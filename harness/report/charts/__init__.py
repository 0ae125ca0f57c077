"""Charts of every subject, as Altair charts in figures. Imported when a renderer asks for figures."""
