"""Can others see and repeat a result? Empty so far: reproducing and publishing records come here."""
