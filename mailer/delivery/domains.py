"""Sending domains. Pure."""
