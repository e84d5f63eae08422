"""Errors of the client, each a sentence for the person."""

from __future__ import annotations

from kith_protocol.errors import Fault, KithError, Refused


class ServerUnreachable(KithError):
    """A server could not be reached. What was entered is kept and goes out later."""

    code = "unreachable"
    fault = Fault.SERVER


class ServerRefused(KithError):
    """The home server answered with an error of its own."""

    fault = Fault.SERVER

    def __init__(self, code: str, message: str, status: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        """HTTP status; 0 where the answer was no error of HTTP."""

    @property
    def final(self) -> bool:
        """Whether the same request would be refused again, however often it is repeated."""
        return (400 <= self.status < 500 and self.status not in (401, 408, 423, 425, 429)) or self.status == 507


class HeadMoved(KithError):
    """Another device wrote first; pull, merge and commit again."""

    code = "head-moved"


class HomeMoved(KithError):
    """The vault lives on another server than the one that was asked; go there and try again."""

    code = "moved"


class NoVault(KithError):
    """There is no vault on this device yet."""

    code = "no-vault"


class VaultExists(KithError):
    """There is a vault on this device already."""

    code = "vault-exists"


class Busy(KithError):
    """Another `kith` is at work on the same vault."""

    code = "busy"


class WrongPassphrase(KithError):
    """The passphrase does not open the key file."""

    code = "wrong-passphrase"


class ManyDeletions(KithError):
    """A sync would delete a large part of the address book; the person is asked first."""

    code = "many-deletions"


class NearbyUnavailable(KithError):
    """The local network cannot be used to find others."""

    code = "nearby-unavailable"


def this_device() -> Refused:
    """What a device says that is to remove itself."""
    return Refused("this-device", "A device cannot remove itself; do it on another one.")
