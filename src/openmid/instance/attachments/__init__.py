"""Attachments: bodies that are too large, or too binary, for a message; their bytes are files in the instance's folder."""
