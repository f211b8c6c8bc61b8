"""Why a mutual-TLS call failed: evidence in, one cause out. Pure: no sockets, no files."""
