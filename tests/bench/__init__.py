"""How fast the converter is, beside what else does the same: `make bench`."""
