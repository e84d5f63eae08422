"""What it takes to speak to a home server for a member of a vault."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from kith_protocol.member import MemberKeys


class Access(Protocol):
    """Of a device, from its key file, or of the paper key, from the recovery phrase."""

    @property
    def server(self) -> str:
        """The home server's URL."""

    @property
    def fingerprint(self) -> bytes:
        """Of the home server's key, which was pinned."""

    @property
    def vault(self) -> bytes: ...

    @property
    def member(self) -> MemberKeys: ...


@dataclass(frozen=True, slots=True)
class At:
    """A member at a server that is named."""

    server: str
    fingerprint: bytes
    vault: bytes
    member: MemberKeys
