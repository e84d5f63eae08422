"""10,000 contacts: everything arrives on the second device, in bounded memory on both sides. See `ten_thousand.py`."""

from __future__ import annotations

from pathlib import Path

from tests.system.ten_thousand import CONTACTS, run

CLIENT_BYTES = 300 * 2**20
SERVER_BYTES = 200 * 2**20


def test_ten_thousand_contacts_reach_a_second_device_in_bounded_memory(tmp_path: Path) -> None:
    costs = run(tmp_path)
    assert costs.contacts == (CONTACTS, CONTACTS)
    assert costs.steps["import"].document["imported"] == CONTACTS
    assert costs.client_peak < CLIENT_BYTES
    assert costs.server_peak < SERVER_BYTES
