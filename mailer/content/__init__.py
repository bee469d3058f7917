"""Designs, frozen contents, templates, links: from MJML to the bytes of one message."""
