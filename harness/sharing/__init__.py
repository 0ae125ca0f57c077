"""Can others see and repeat a result? Records are repeated and judged here; bundles and sites come here."""
