"""What can be wrong with a request to the book. A message never names a contact; `shown` is for the person alone."""

from __future__ import annotations

from dataclasses import dataclass

from kith_protocol.errors import KithError


@dataclass(frozen=True, slots=True)
class Choice:
    """One of several things that were meant, perhaps: an id to use instead, and what it is."""

    id: str
    name: str


class BookError(KithError):
    """A request that the book cannot carry out; `str()` names no contact, `shown` may."""

    code = "book"

    def __init__(self, message: str, *, shown: str = "", choices: tuple[Choice, ...] = ()) -> None:
        super().__init__(message)
        self.shown = shown or message
        """The sentence for the person, with names. Never logged."""
        self.choices = choices


class NotFound(BookError):
    """Nothing in the book is what was asked for."""

    code = "not-found"


class Ambiguous(BookError):
    """Several things are what was asked for; `choices` lists them."""

    code = "ambiguous"


class BadValue(BookError):
    """A value cannot be read: a date, a facet, a property's name."""

    code = "bad-value"


class NotAllowed(BookError):
    """The book would no longer make sense."""

    code = "not-allowed"


def checked_text(text: str) -> str:
    """`text`, if it is text: a command line may carry bytes that are none. Raises `BadValue`."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise BadValue("This is not text in UTF-8.") from None
    return text
