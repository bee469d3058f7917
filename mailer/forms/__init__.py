"""Sign-up forms: built by marketers, filled in by anybody, confirmed by the person alone."""
