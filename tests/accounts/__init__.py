"""Tests of mailer/accounts."""
