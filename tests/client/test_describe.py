"""What the log says of changes that came from elsewhere."""

from __future__ import annotations

from kith_client.sync.describe import describe
from tests.client.relations.people import World


def test_a_contact_that_came_with_a_peer_is_called_as_the_peer_is() -> None:
    world = World.of("Anna Beck", "Bob Klein")
    world.connect("anna", "bob")
    said = describe({}, dict(world["anna"].contents))
    assert any(line.startswith("added contact Bob Klein") for line in map(str, said)), said
