"""Recipes for the guests that tests and the demonstration use, and what builds them."""
