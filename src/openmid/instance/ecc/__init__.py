"""The ECC queue: jobs for MID Servers and what came back. `queue.sql` holds every statement."""
