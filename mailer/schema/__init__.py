"""Tables only, one file per aggregate. A table is written only by the feature that owns it (DESIGN: Layout)."""
