"""Mutual TLS from inside closed networks: an instance, MID Servers, FIPS Enforced Mode, BCFKS without a JVM.

Importing this package imports nothing that imports `cryptography`: `openmid.fips.activation` must come first.
"""

__version__ = "0.1.0"
