"""Settings kept in the database: zone, limits, sender profiles, stop everything. A process is told by settings.py."""
