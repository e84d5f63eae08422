"""Forwards sealed requests to other servers, and keeps them while a destination is down."""
