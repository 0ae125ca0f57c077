"""Suites of a repository of the tests."""

TWO = '[benchmarks.a]\nbackend = "torch"\ntask = "cnn"\n[benchmarks.b]\nbackend = "torch"\ntask = "mlp"\n'
ONE = '[benchmarks.a]\nbackend = "torch"\ntask = "cnn"\n'
