"""Finding others on the local network, and speaking to them without any server (spec: nearby.md)."""
