"""One content to one audience at one time: drafts, review, audience, schedule, launch."""
