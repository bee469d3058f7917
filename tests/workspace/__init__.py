"""Tests of mailer/workspace."""
