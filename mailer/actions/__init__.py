"""The one set of verbs that links, forms, flows and bulk tasks share."""
