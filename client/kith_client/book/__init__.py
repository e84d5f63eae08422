"""Book-keeping: pure edits and readings of what a vault holds. The vault stores them, sync sends them."""
