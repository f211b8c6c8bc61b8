"""Who changed what, from where, the value before and after. Written once, never changed."""
