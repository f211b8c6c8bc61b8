"""Who may do what: roles, API tokens, and how a request shows whose it is."""
