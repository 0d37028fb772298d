"""suppression.api: HTTP doors: parse, authorise, call one action, shape the answer."""
