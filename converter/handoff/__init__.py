"""The hand-off: the private workspace, publishing, the manifest, checksums."""
