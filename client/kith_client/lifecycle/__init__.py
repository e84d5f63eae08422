"""How a vault begins, gains and loses devices, is saved, restored, moved, repaired and taken back."""
