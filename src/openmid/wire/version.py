"""The version of the protocol between a MID Server and its instance; it stands in every path of the channel."""

PROTOCOL = 1
CHANNEL = f"/api/mid/v{PROTOCOL}"
