"""HTTP in and out; no rule of the domain."""
