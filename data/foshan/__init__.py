"""The demonstration city: Foshan drawn from its real names and outlines."""
