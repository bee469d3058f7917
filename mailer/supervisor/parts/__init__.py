"""One file for each process of an installation: what `mailer run NAME` loads, and no more."""
