"""Which requests stand, and who may make none; shared by whoever shows them and whoever carries decisions out."""

from __future__ import annotations

from typing import Final

from kith_client.relations import records
from kith_client.relations.joining import persona_in
from kith_client.relations.records import InviteRecord, InviteState
from kith_client.relations.requests.records import Decision, Request, all_asked
from kith_client.stamp import Contents
from kith_protocol.relationship import RelationshipState
from kith_protocol.suite import digest

REQUEST_LIFETIME: Final = 90 * 24 * 3600 * 1000
"""Milliseconds after which a request that nobody decided is dropped."""


class Persons:
    """Who is a peer, and who is shut out; read once, because many may ask."""

    def __init__(self, contents: Contents) -> None:
        peers = records.peers(contents)
        self.peers = {peer.person: peer for peer in reversed(peers)}
        """Person id → peer; of two, the one with the smaller record id."""
        by_id = {peer.id: peer for peer in peers}
        self.blocked = frozenset(peer.person for peer in self.peers.values() if peer.blocked)
        self.connected: dict[bytes, int] = {}
        """Person id → the number of the persona with whom I am connected."""
        for channel in records.channels(contents):
            peer = by_id.get(channel.peer)
            if peer is not None and channel.state is RelationshipState.CONNECTED and not peer.is_over(channel.id):
                number = records.persona_of(persona_in(channel)).number
                self.connected[peer.person] = max(number, self.connected.get(peer.person, 0))
        before = all_asked(contents)
        self._accepted = frozenset((each.person, each.answer) for each in before if each.accepted)
        self._let_in = {each.person: each.at for each in before if each.accepted}

    def was_let_in(self, request: Request) -> bool:
        """Whether another device made the finish already, to this answer or to a later one of the same person."""
        if (request.person, digest(request.answer)) in self._accepted:
            return True
        # An edit stands against a deletion: a decision made offline brings back the request as it was then.
        return request.decision is not None and request.at <= self._let_in.get(request.person, -1)

    def has_accepted(self, person: bytes, decision: Decision) -> bool:
        """Whether an invite says that the very answer which was decided about was accepted."""
        return (person, decision.answer) in self._accepted

    def is_shut_out(self, person: bytes, number: int) -> bool:
        """Whether a request by this person, with this persona number, is dropped: blocked, or connected already.

        A higher number than the one connected with is somebody who lost a device, and begins anew.
        """
        return person in self.blocked or number <= self.connected.get(person, -1)


def is_void(contents: Contents, request: Request, persons: Persons, now: int) -> bool:
    """Whether nothing can come of a request: the person is shut out; another device let the person in, so that a
    second finish to this answer would end what the first began; or nobody decided until it was too late."""
    if persons.is_shut_out(request.person, request.number) or persons.was_let_in(request):
        return True
    content = contents.get(request.invite)
    if content is None or content.kind != "invite":
        return True
    revoked = records.read_invite(request.invite, content).state is InviteState.REVOKED
    return request.decision is None and (revoked or request.at + REQUEST_LIFETIME <= now)


def reusable_invites(contents: Contents) -> list[InviteRecord]:
    """The invites through which requests come, oldest first."""
    return [invite for invite in records.invites(contents) if invite.reusable]
