"""Access to a guest's files: one protocol, and its appliance, in-memory and recording forms."""
