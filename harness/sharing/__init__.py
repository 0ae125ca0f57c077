"""Can others see and repeat a result? Records are repeated and judged, and bundled."""
