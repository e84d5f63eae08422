"""The Kithbook server: keeps ciphertext for vaults and mailboxes, and forwards sealed requests."""
