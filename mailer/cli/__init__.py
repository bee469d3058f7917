"""The command line: one file a group of commands; nothing is decided here (docs/reference/cli.md)."""
