"""Tasks for people: who should call whom, by when, and what came of it."""
