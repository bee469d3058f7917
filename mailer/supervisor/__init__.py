"""The embedded default: `mailer up` starts and watches every process on one machine."""
