"""Files that come in: contacts and activities from CSV and spreadsheets, checked, deduplicated, with their consent."""
