"""Pages of campaigns: the list, the steps of a draft, its preview, launch and control."""
