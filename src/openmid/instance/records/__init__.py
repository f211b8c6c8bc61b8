"""What every record has: `sys_id` and its relatives, who did it, and columns that are encrypted at rest."""
