"""Real processes, killed and stopped; databases and brokers that go away; a checker that reads what happened."""
