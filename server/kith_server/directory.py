"""Who can be found here by a handle (spec: directory.md). The gateway and WebFinger both ask this."""

from __future__ import annotations

from dataclasses import dataclass

from kith_protocol.gateway import LookUpResult, LookUpStatus
from kith_server.limits import Buckets
from kith_server.storage.mail_interface import HandleStore


@dataclass(frozen=True, slots=True)
class Directory:
    """`is_open` is the operator's setting: where it is False everybody is unknown."""

    handles: HandleStore
    look_ups: Buckets
    """How often one network may ask."""
    is_open: bool

    def wait(self, network: str) -> float:
        """Counts one look-up by `network`; 0 where it may ask, else seconds. Told before anything is looked up.

        This machine counts as any other network: what people here ask through the server's own relay comes from it.
        """
        return self.look_ups.take(network)

    async def look_up(self, handle: bytes, network: str) -> LookUpResult:
        """What a sealed look-up of the handle with this id gives. Raises `Busy`."""
        if self.wait(network):
            return LookUpResult(LookUpStatus.LATER)
        secret = await self.find(handle)
        return LookUpResult(LookUpStatus.NOT_FOUND) if secret is None else LookUpResult(LookUpStatus.FOUND, secret)

    async def find(self, handle: bytes) -> bytes | None:
        """The secret behind a handle, None where nobody is found."""
        secret = await self.handles.find(handle)
        return secret if self.is_open else None
