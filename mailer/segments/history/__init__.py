"""History of watched segments: who entered and left, when and why, and how the size went (FEATURES S16)."""
