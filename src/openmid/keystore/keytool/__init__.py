"""keytool's commands for keystores without a JVM: its flags, its output, its streams and exit statuses.

docs/keytool.md lists what is deliberately different from Java's.
"""
