"""What an administrator of an instance does from time to time: rotate its key, back it up, restore it, purge it."""
