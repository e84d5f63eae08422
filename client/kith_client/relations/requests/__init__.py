"""What waits for the person's decision, and what comes of it (spec: requests.md)."""
