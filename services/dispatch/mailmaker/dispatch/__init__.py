"""dispatch: the house that sends and knows what it sent."""
