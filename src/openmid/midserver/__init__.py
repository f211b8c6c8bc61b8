"""The MID Server: opens no port, takes work from the instance, calls partners with mutual TLS."""
