"""What views share: access, policy headers, error pages, formats, paging. Only views, api and app import it."""
