"""Bringing a device in step with its home server and with peers."""
