"""People with vaults in memory, who exchange parcels through simulated servers."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from kith_client.book import grants, me
from kith_client.book.views import view_of
from kith_client.contacts.model import Property
from kith_client.relations.accepting import Accepted, accept, check_link
from kith_client.relations.inbox import TakenIn
from kith_client.relations.incoming import take_in
from kith_client.relations.introductions.introduced import (
    IntroductionRow,
    agree,
    decline_introduction,
    links_to_use,
    list_introductions,
)
from kith_client.relations.introductions.introducing import introduce
from kith_client.relations.introductions.vouching import accept_introduced
from kith_client.relations.invites import NewInvite, create_invite
from kith_client.relations.outgoing import Outgoing, outgoing, receipted
from kith_client.relations.peers import their_properties
from kith_client.relations.pins import note_shown
from kith_client.relations.records import channels, own_persona, peers, persona_seals
from kith_client.relations.requests.deciding import accept_request, decline_request, list_requests
from kith_client.relations.requests.rows import RequestRow
from kith_client.relations.server_side import cleared, server_side
from kith_client.relations.theft.personas import new_persona
from kith_client.relations.upkeep import plan
from kith_client.stamp import Edit, Stamp, the_one
from kith_protocol.content import Content, content_of
from kith_protocol.encoding import decode_map, encode_map
from kith_protocol.gateway import PutStatus
from kith_protocol.persona import FIRST_NUMBER
from kith_protocol.suite import HybridSignKey
from kith_protocol.wire import StoredParcel
from tests.client.relations.simserver import SimServer

START = 1_760_000_000_000
"""Milliseconds since 1970 at which every test begins."""


@dataclass
class Person:
    """Somebody with a home server and one device."""

    name: str
    server: SimServer
    rng: random.Random
    contents: dict[bytes, Content] = field(default_factory=dict)
    now: int = START
    root: HybridSignKey = field(default_factory=lambda: HybridSignKey(bytes(32), bytes(32)))
    issues: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)

    @classmethod
    def begin(cls, name: str, server: SimServer, seed: int = 0) -> Person:
        person = cls(name, server, random.Random(f"{name}{seed}"))
        root = HybridSignKey(person.random(32), person.random(32))
        person.commit(me.first_card(person.stamp(), name))
        person.root = root
        person.renew_persona(FIRST_NUMBER)
        return person

    def renew_persona(self, number: int) -> None:
        """Fresh persona keys, signed by the root."""
        former = [key.seed for key in persona_seals(self.contents)]
        persona = new_persona(self.root, number, self.random, former)
        found = the_one(self.contents, "persona")
        record = self.stamp().record_id() if found is None else found[0]
        self.commit({record: self.stamp().content("persona", persona)})

    @property
    def id(self) -> bytes:
        """The person id."""
        return own_persona(self.contents).person

    @property
    def host(self) -> str:
        return f"{self.name.split()[0].lower()}.example"

    def random(self, size: int) -> bytes:
        return self.rng.randbytes(size)

    def stamp(self) -> Stamp:
        self.now += 1
        return Stamp(self.now, self.name.encode()[:8].ljust(8, b"."), self.random)

    def commit(self, edit: Edit) -> None:
        """Through the encoding, as a vault does."""
        for record, content in edit.items():
            if content is None:
                self.contents.pop(record, None)
            else:
                self.contents[record] = content_of(decode_map(encode_map(content.to_map())))

    # What a person does

    def set_card(self, prop: str, text: str, *facets: str) -> None:
        self.commit(me.set_mine(self.contents, self.stamp(), prop, text, facets)[0])

    def unset_card(self, prop: str) -> None:
        self.commit(me.unset_mine(self.contents, self.stamp(), prop)[0])

    def invite(
        self, *facets: str, contact: bytes | None = None, expires: int | None = None, reusable: bool = False
    ) -> NewInvite:
        mine = self.host, b"F" * 16
        new = create_invite(self.contents, self.stamp(), *mine, facets, contact, reusable, expires)
        self.commit(new.edit)
        self.serve()
        return new

    def accept(self, link: str, inviter: SimServer, *facets: str, contact: bytes | None = None) -> Accepted:
        greeting = inviter.greetings[check_link(self.contents, link).link_id]
        accepted = accept(self.contents, self.stamp(), link, greeting, self.host, b"F" * 16, facets, contact)
        self.commit(accepted.edit)
        return accepted

    def introduce(self, one: str, other: str, text: str = "") -> bytes:
        """Introduces two peers, by the names that they give themselves; the record."""
        both = self.peer_named(one), self.peer_named(other)
        new = introduce(self.contents, self.stamp(), *both, text)
        self.commit(new.edit)
        return new.id

    def requests(self) -> list[IntroductionRow]:
        """Introductions that wait for this person's decision."""
        rows = list_introductions(self.contents, self.now)
        return [row for row in rows if row.state == "open"]

    def agree(self, *facets: str, contact: bytes | None = None) -> None:
        """Agrees to the only introduction."""
        (row,) = self.requests()
        self.commit(agree(self.contents, self.stamp(), row.id, facets, contact))

    def decline(self) -> None:
        """Declines the only introduction."""
        (row,) = self.requests()
        self.commit(decline_introduction(self.contents, self.stamp(), row.id))

    def asked_by(self) -> list[str]:
        """The names of those who wait for a decision, in the order in which they came."""
        return [row.name for row in list_requests(self.contents, self.now)]

    def let_in(self, name: str, *facets: str, contact: bytes | None = None) -> None:
        self.commit(accept_request(self.contents, self.stamp(), self._request(name), facets, contact).edit)

    def turn_down(self, name: str) -> None:
        self.commit(decline_request(self.contents, self.stamp(), self._request(name)).edit)

    def _request(self, name: str) -> RequestRow:
        return next(row for row in list_requests(self.contents, self.now) if row.name == name)

    def grant(self, peer: bytes, facet: str) -> None:
        self.commit(grants.grant(self.contents, self.stamp(), grants.Target("peer", (peer,), ""), facet))

    def withdraw(self, peer: bytes, facet: str) -> None:
        self.commit(grants.withdraw(self.contents, self.stamp(), grants.Target("peer", (peer,), ""), facet))

    # What a program does

    def serve(self) -> None:
        side = server_side(self.contents, self.now)
        self.server.hold(side)
        self.commit(cleared(self.contents, self.stamp(), side))

    def read_ids(self) -> set[bytes]:
        side = server_side(self.contents, self.now)
        return {mailbox.read_id for mailbox in side.mailboxes}

    def fetch(self) -> TakenIn:
        self.serve()
        return self.take(self.server.fetch(self.read_ids()))

    def take(self, parcels: list[StoredParcel]) -> TakenIn:
        self.rng.shuffle(parcels)
        taken = take_in(self.contents, self.stamp(), parcels)
        self.commit(taken.edit)
        self.server.delete(self.read_ids(), list(taken.handled))
        self.issues += taken.issues
        self.events += taken.events
        return taken

    def use_links(self, server_at: Callable[[str], SimServer]) -> None:
        """Accepts the invites that introducers passed on."""
        for each in links_to_use(self.contents, self.now):
            assert each.link is not None
            greeting = server_at(each.link.host).greetings.get(each.link.invite.link_id)
            used = accept_introduced(self.contents, self.stamp(), each.id, greeting, self.host, b"F" * 16)
            self.commit(used.edit)
            self.issues += used.issues
            self.events += used.events

    def to_send(self) -> list[Outgoing]:
        self.commit(plan(self.contents, self.stamp()).edit)
        self.serve()
        return outgoing(self.contents, self.stamp())

    def receipt(self, out: Outgoing, status: PutStatus) -> None:
        self.commit(receipted(self.contents, self.stamp(), out.key, status))

    # What one can see

    def peer_named(self, name: str) -> bytes:
        return next(peer.id for peer in peers(self.contents) if peer.name == name)

    def sees_of(self, other: Person) -> list[Property]:
        """The card of `other` as it stands in this person's address book."""
        contact = next(peer.contact for peer in peers(self.contents) if peer.name == other.name)
        return [prop for prop, _ in their_properties(self.contents, contact)]

    def sees_of_contact(self) -> list[str]:
        """The values of the card of this person's only peer."""
        (peer,) = peers(self.contents)
        return [prop.value for prop, _ in their_properties(self.contents, peer.contact)]

    def shows_to(self, other: Person) -> list[Property]:
        return view_of(self.contents, self.peer_named(other.name))

    def shows_to_person(self, person: bytes) -> list[Property]:
        return view_of(self.contents, next(peer.id for peer in peers(self.contents) if peer.person == person))

    def notes_for(self, person: bytes) -> set[str]:
        """Texts of the notes that are shared with somebody now."""
        shared = next(peer.shares for peer in peers(self.contents) if peer.person == person)
        return {str(self.contents[note].value("text")) for note in shared if note in self.contents}

    def states(self) -> list[str]:
        return sorted(channel.state.value for channel in channels(self.contents))


@dataclass
class World:
    """Several people, each with a server, on a network that is well unless a test says otherwise."""

    people: dict[str, Person]

    @classmethod
    def of(cls, *names: str, seed: int = 0) -> World:
        return cls({name.split()[0].lower(): Person.begin(name, SimServer(), seed) for name in names})

    def __getitem__(self, name: str) -> Person:
        return self.people[name]

    def server_at(self, host: str) -> SimServer:
        return self.people[host.partition(".")[0]].server

    def deliver(self, sender: Person, out: Outgoing) -> PutStatus:
        status = self.server_at(out.host).put(out.put)
        sender.commit(note_shown(sender.contents, sender.stamp(), out.channel, out.host, out.fingerprint))
        sender.receipt(out, status)
        return status

    def sync(self, person: Person) -> int:
        """Fetches, plans, sends; the number of puts."""
        person.fetch()
        person.use_links(self.server_at)
        sent = person.to_send()
        for out in sent:
            self.deliver(person, out)
        return len(sent)

    def settle(self, rounds: int = 12) -> None:
        """Syncs everybody until nobody has anything to send or to read."""
        for _ in range(rounds):
            if not sum(self.sync(person) for person in self.people.values()):
                return
        raise AssertionError("people never stop sending to each other")

    def connect(self, inviter: str, accepter: str, facets: tuple[str, ...] = ()) -> None:
        one, other = self[inviter], self[accepter]
        other.accept(one.invite(*facets).link, one.server)
        self.settle()
