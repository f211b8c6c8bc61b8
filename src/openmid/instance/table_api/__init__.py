"""The Table API, as its clients use it, and the few calls beside it that people's scripts need."""
