"""Tests of mailer/reports."""
