"""Introducing two peers to each other: both sides, and what an introducer's word is worth (spec: introduction.md)."""
