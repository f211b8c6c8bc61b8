"""Connection & Credential Aliases, HTTP(s) Connections and MID Protocol Profiles."""
