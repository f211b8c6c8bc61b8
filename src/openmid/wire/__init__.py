"""What an instance and a MID Server say to each other: versioned messages, probes, sealed secrets."""
