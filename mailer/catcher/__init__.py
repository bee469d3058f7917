"""The mail server of the embedded default: catches every mail, and misbehaves on demand. Never part of production."""
