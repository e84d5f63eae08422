"""Names of devices."""

from __future__ import annotations

import pytest

from kith_client.book.devices import rename_device
from kith_client.book.names import device_name
from kith_client.book.problems import BadValue, NotAllowed
from kith_client.stamp import the_one
from tests.client.book.library import new_book

PHONE, LAPTOP = b"P" * 32, b"L" * 32


def test_a_device_is_called_otherwise_and_the_others_keep_their_names() -> None:
    book = new_book()
    book.records |= {b"R" * 16: book.stamp().content("devices", {PHONE.hex(): "phone", LAPTOP.hex(): "laptop"})}
    book.records |= {k: v for k, v in rename_device(book.contents, book.stamp(), PHONE, " old phone ").items() if v}
    assert [device_name(book.contents, member) for member in (PHONE, LAPTOP)] == ["old phone", "laptop"]
    assert the_one(book.contents, "devices") is not None


def test_a_device_whose_name_is_not_known_gets_one() -> None:
    book = new_book()
    book.records |= {k: v for k, v in rename_device(book.contents, book.stamp(), PHONE, "phone").items() if v}
    assert device_name(book.contents, PHONE) == "phone"


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "\udcff"])
def test_what_is_no_name_is_refused(name: str) -> None:
    book = new_book()
    with pytest.raises(BadValue):
        rename_device(book.contents, book.stamp(), PHONE, name)


def test_two_devices_cannot_be_called_the_same() -> None:
    book = new_book()
    with pytest.raises(NotAllowed):
        rename_device(book.contents, book.stamp(), PHONE, "LAPTOP", ["laptop"])
    assert rename_device(book.contents, book.stamp(), PHONE, "laptop", ["tablet"])
