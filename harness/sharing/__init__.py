"""Can others see and repeat a result? Empty so far: reproducing, bundling and publishing records come here."""
