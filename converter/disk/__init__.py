"""Partition tables and what lies outside of filesystems."""
