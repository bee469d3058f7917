"""Saved audiences: rules as data, compiled to SQL; static sets; set operations; what they say in words."""
