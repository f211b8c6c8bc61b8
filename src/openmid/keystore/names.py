"""Names of what only identifiers tell: old schemes of encryption, and Java's names of secret keys."""

from __future__ import annotations

# What decrepit.py decrypts: RFC 8018's PBES1, RFC 7292's appendix C, Sun's two key protectors.
OLD_SCHEMES = {
    "1.2.840.113549.1.5.3": "PBES1 with MD5 and DES",
    "1.2.840.113549.1.5.6": "PBES1 with MD5 and RC2",
    "1.2.840.113549.1.5.10": "PBES1 with SHA-1 and DES",
    "1.2.840.113549.1.5.11": "PBES1 with SHA-1 and RC2",
    "1.2.840.113549.1.12.1.1": "PKCS12's scheme with SHA-1 and 128-bit RC4",
    "1.2.840.113549.1.12.1.2": "PKCS12's scheme with SHA-1 and 40-bit RC4",
    "1.2.840.113549.1.12.1.3": "PKCS12's scheme with SHA-1 and triple DES",
    "1.2.840.113549.1.12.1.4": "PKCS12's scheme with SHA-1 and two-key triple DES",
    "1.2.840.113549.1.12.1.5": "PKCS12's scheme with SHA-1 and 128-bit RC2",
    "1.2.840.113549.1.12.1.6": "PKCS12's scheme with SHA-1 and 40-bit RC2",
}

# Secret keys: Java's name (any case) to what BCFKS writes for it (docs/bcfks.md), and others in use.
SECRET_KEYS = {
    "AES": "2.16.840.1.101.3.4.1",
    "DESEDE": "1.3.14.3.2.17",
    "TRIPLEDES": "1.3.14.3.2.17",
    "DES": "1.3.14.3.2.7",
    "BLOWFISH": "1.3.6.1.4.1.3029.1.1.2",
    "RC2": "1.2.840.113549.3.2",
    "RC4": "1.2.840.113549.3.4",
    "ARCFOUR": "1.2.840.113549.3.4",
    "CHACHA20": "1.2.840.113549.1.9.16.3.18",
    "SEED": "1.2.410.200004.1.4",
    "HMACMD5": "1.3.6.1.5.5.8.1.1",
    "HMACSHA1": "1.2.840.113549.2.7",
    "HMACSHA224": "1.2.840.113549.2.8",
    "HMACSHA256": "1.2.840.113549.2.9",
    "HMACSHA384": "1.2.840.113549.2.10",
    "HMACSHA512": "1.2.840.113549.2.11",
    "HMACSHA512/224": "1.2.840.113549.2.12",
    "HMACSHA512/256": "1.2.840.113549.2.13",
    "HMACSHA3-224": "2.16.840.1.101.3.4.2.13",
    "HMACSHA3-256": "2.16.840.1.101.3.4.2.14",
    "HMACSHA3-384": "2.16.840.1.101.3.4.2.15",
    "HMACSHA3-512": "2.16.840.1.101.3.4.2.16",
}
