"""From records to something a person reads."""
