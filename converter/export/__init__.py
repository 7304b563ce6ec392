"""Handing an image off to other hypervisors: in their formats, whole or not at all."""
