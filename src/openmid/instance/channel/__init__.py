"""The ASGI wing: what machines do often. Claims, results, heartbeats, enrolment; execute."""
