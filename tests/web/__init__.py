"""Tests of the web kit and the shell."""
