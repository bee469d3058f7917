"""Calls of mail providers read as events of one vocabulary (INTERFACES: Vocabulary of provider events). Pure."""
