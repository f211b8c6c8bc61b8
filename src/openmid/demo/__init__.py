"""The whole walk on one machine: from a PKCS12 file to Status Code 200 over mutual TLS in FIPS Enforced Mode.

It uses nothing but what a user has: the `openmid` command, the agent folder's scripts, the instance's API, openssl.
"""
