"""Typed errors: each has a stable code and says whose fault it is; the message is the sentence that a person reads.

No message may carry a secret or the name of a contact.
"""

from __future__ import annotations

from enum import StrEnum


class Fault(StrEnum):
    """Who has to act."""

    CALLER = "caller"
    """The person or the program that asked: other input helps."""
    SERVER = "server"
    """A server: it is down, broken, or lying."""
    PEER = "peer"
    """Somebody else's client."""


class KithError(Exception):
    """Base of every error that Kithbook raises on purpose."""

    code = "error"
    fault = Fault.CALLER


class DecodingError(KithError):
    """Bytes are not a well-formed, canonical encoding of what was expected."""

    code = "undecodable"
    fault = Fault.PEER


class Undecryptable(KithError):
    """A sealed message does not open: wrong key, wrong context, or altered. One error for all causes."""

    code = "undecryptable"
    fault = Fault.PEER


class BadSignature(KithError):
    """A signature does not verify under the key that should have made it."""

    code = "bad-signature"
    fault = Fault.PEER


class BadKey(KithError):
    """A public key is of the wrong size, of small order, or otherwise unusable."""

    code = "bad-key"
    fault = Fault.PEER


class LimitExceeded(KithError):
    """Something is larger, longer or more numerous than the protocol allows."""

    code = "limit-exceeded"


class Refused(KithError):
    """A rule of the protocol forbids the step. `code` names the rule."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class AlarmCode(StrEnum):
    """Security alarms: sync stops and the data stays as it was."""

    ROLLBACK = "rollback"
    FORK = "fork"
    RECORD_SWAPPED = "record-swapped"
    RECORD_MISSING = "record-missing"
    REPLAYED_PAGE = "replayed-page"
    UNKNOWN_MEMBER = "unknown-member"
    WRONG_EPOCH = "wrong-epoch"
    GREETING_FORGED = "greeting-forged"
    SERVER_KEY_CHANGED = "server-key-changed"
    PERSON_CHANGED = "person-changed"
    DOWNGRADE = "downgrade"


class Alarm(KithError):
    """Somebody broke a promise that the protocol enforces. Nothing received was applied."""

    fault = Fault.SERVER

    def __init__(self, code: AlarmCode, message: str) -> None:
        super().__init__(message)
        self.code = code.value
        self.alarm = code
