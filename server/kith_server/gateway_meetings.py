"""Meetings with people of other servers: their messages at this server's rendezvous (spec: gateway.md).

A wrong nameplate costs the network that it comes from as much as at the plain endpoint; what that network is told then
is sealed like everything else, so that the relay in between learns nothing of it.
"""

from __future__ import annotations

from typing import Final

from kith_protocol.gateway import LeaveMessage, LookForMessage, RendezvousResult, RendezvousStatus
from kith_protocol.wire import Purpose
from kith_server.errors import HttpRefusal
from kith_server.limits import Buckets, cost_for
from kith_server.rendezvous import WRONG_GUESS, Rendezvous, knows_not

SHOWS: Final = "a"
TYPES: Final = "b"


class Meetings:
    """The rendezvous for those outside, who type a code."""

    def __init__(self, rendezvous: Rendezvous, guesses: Buckets) -> None:
        self._rendezvous = rendezvous
        self._guesses = guesses

    def leave(self, wanted: LeaveMessage, network: str) -> RendezvousResult:
        """Leaves a message of the one who types; the same again changes nothing."""
        return self._guarded(wanted, network, wanted.message)

    def look(self, wanted: LookForMessage, network: str) -> RendezvousResult:
        """A message of the one who shows, if it is there by now."""
        return self._guarded(wanted, network, None)

    def _guarded(self, wanted: LeaveMessage | LookForMessage, network: str, message: bytes | None) -> RendezvousResult:
        cost = cost_for(network, WRONG_GUESS + 1)
        if self._guesses.take(network, cost):
            return RendezvousResult(RendezvousStatus.LATER)
        try:
            result = self._do(wanted.nameplate, wanted.index, message)
        except HttpRefusal as refusal:
            if knows_not(refusal):
                return RendezvousResult(RendezvousStatus.NO_NAMEPLATE)
            result = RendezvousResult(RendezvousStatus.TAKEN)
        self._guesses.give_back(network, cost)
        return result

    def _do(self, nameplate: str, index: int, message: bytes | None) -> RendezvousResult:
        if message is not None:
            self._rendezvous.put(Purpose.MEET, nameplate, TYPES, index, message)
            return RendezvousResult(RendezvousStatus.DONE)
        found = self._rendezvous.look(Purpose.MEET, nameplate, SHOWS, index)
        if found is None:
            return RendezvousResult(RendezvousStatus.NOT_YET)
        return RendezvousResult(RendezvousStatus.DONE, found)
