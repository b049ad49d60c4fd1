"""PostGIS and files: the only place where SQL is."""
