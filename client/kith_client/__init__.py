"""The Kithbook client: the vault on a device, and the `kith` command."""
