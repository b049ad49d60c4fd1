"""Geometry and statistics on arrays and shapes: no database, no HTTP, no clock, no settings."""
