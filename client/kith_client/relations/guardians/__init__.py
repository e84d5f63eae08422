"""Shares of a recovery phrase: those that my guardians keep, and those that I keep (spec: guardian.md)."""
