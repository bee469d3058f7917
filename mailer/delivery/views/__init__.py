"""Doors of delivery: the view in a browser, sending domains, relays."""
