"""How fast is it? Times that a verdict may use: duels, gates, histories, bisections, timed tests."""
