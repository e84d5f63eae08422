"""After a theft: relationships taken back by the root's word, and what a thief wrote undone (spec: stolen.md)."""
