"""rcakit: find out why a PostgreSQL database is not what its migrations say it is."""

__version__ = "0.1.0"
