"""Tests of mailer/consent."""
