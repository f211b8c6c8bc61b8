"""Keystores without a JVM: BCFKS, PKCS12 and PEM, read and written."""
