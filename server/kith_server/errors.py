"""The server's own errors, and the HTTP status that each error has (spec: home-server.md, Failures).

Rules of the protocol raise the errors of `kith_protocol.errors`; what is added here concerns the service as such.
"""

from __future__ import annotations

from typing import Final

from kith_protocol.errors import Fault, KithError, LimitExceeded, Refused


class HttpRefusal(Refused):
    """A request is refused with this status; `retry_after` is in seconds, 0 where trying again would not help."""

    def __init__(self, status: int, code: str, message: str, *, retry_after: int = 0) -> None:
        super().__init__(code, message)
        self.status = status
        self.retry_after = retry_after


class Busy(HttpRefusal):
    """The server has more to do than it can queue; the same request may be sent again."""

    fault = Fault.SERVER

    def __init__(self, message: str = "The server is busy; try again in a moment.", *, retry_after: int = 2) -> None:
        super().__init__(503, "busy", message, retry_after=retry_after)


class TooManyRequests(HttpRefusal):
    """One network asks more often than a person would."""

    def __init__(self, retry_after: int) -> None:
        message = f"There were too many requests from your network; try again in {retry_after} s."
        super().__init__(429, "too-many-requests", message, retry_after=retry_after)


class StorageFull(HttpRefusal):
    """The disk is full. Nothing was stored, and nothing that was stored before is lost."""

    fault = Fault.SERVER

    def __init__(self) -> None:
        super().__init__(507, "storage-full", "The server has no room left; its operator has to make some.")


class StorageError(KithError):
    """The database cannot be opened or used; the message says what the operator can do."""

    code = "storage"
    fault = Fault.SERVER


def not_found(what: str) -> HttpRefusal:
    """`what` is a noun such as `vault`."""
    return HttpRefusal(404, "not-found", f"There is no such {what} here.")


def no_session() -> HttpRefusal:
    """One answer for a missing, wrong, foreign or expired token."""
    return HttpRefusal(401, "session", "This needs a session of a member of the vault; open a new one.")


def head_moved() -> HttpRefusal:
    return HttpRefusal(409, "head-moved", "The vault has moved on; fetch what is new and try again.")


def vault_exists() -> HttpRefusal:
    return HttpRefusal(
        409, "vault-exists", "This vault is here already. With the recovery phrase it can be deleted from this server."
    )


def status_of(error: KithError) -> int:
    """The HTTP status for `error`; what breaks a rule of the protocol is 422."""
    if isinstance(error, HttpRefusal):
        return error.status
    return 413 if isinstance(error, LimitExceeded) else UNPROCESSABLE


UNPROCESSABLE: Final = 422
