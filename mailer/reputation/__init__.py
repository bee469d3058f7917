"""Bounce and complaint rates of a sending, and the breaker that stops it before the policy limits do (FEATURES B6)."""
