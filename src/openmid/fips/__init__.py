"""FIPS Enforced Mode: provider, activation, proof, policy, key generation.

The only room that knows how many libcryptos a process has. Importing it imports nothing that imports `cryptography`.
"""
