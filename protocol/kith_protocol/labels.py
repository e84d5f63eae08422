"""The labels that keep every use of a key apart: `kith/1/<role>` (spec: suite.md, Labels)."""

from __future__ import annotations

from typing import Final

PREFIX: Final = "kith/1/"

# Vault
MEMBER_ID: Final = PREFIX + "member-id"
COMMIT: Final = PREFIX + "commit"
EPOCH_KEY: Final = PREFIX + "epoch-key"
EPOCH_COMMITMENT: Final = PREFIX + "epoch-commitment"
EPOCH_PREVIOUS: Final = PREFIX + "epoch-previous"
RECORD: Final = PREFIX + "record"
RECORD_KEY: Final = PREFIX + "record-key"

MIRROR: Final = PREFIX + "mirror"
MIRROR_KEY: Final = PREFIX + "mirror-key"
SESSION: Final = PREFIX + "session"
FILL: Final = PREFIX + "fill"

# Recovery phrase and persons
PAPER_SIGN: Final = PREFIX + "paper-sign"
PAPER_SEAL: Final = PREFIX + "paper-seal"
ROOT_SIGN: Final = PREFIX + "root-sign"
ROOT_SIGN_PQ: Final = PREFIX + "root-sign-pq"
PERSON_ID: Final = PREFIX + "person-id"
PERSONA: Final = PREFIX + "persona"
SAFETY_NUMBER: Final = PREFIX + "safety-number"

# Key file
KEY_FILE: Final = PREFIX + "key-file"

# Device linking
LINK_CODE: Final = PREFIX + "link-code"
LINK_IDENTITY: Final = PREFIX + "link-identity"
LINK_SCALAR: Final = PREFIX + "link-scalar"
LINK_TRANSCRIPT: Final = PREFIX + "link-transcript"
LINK_CONFIRM: Final = PREFIX + "link-confirm"
LINK_KEY: Final = PREFIX + "link-key"
LINK_MESSAGE: Final = PREFIX + "link-message"
MEET_PROOF: Final = PREFIX + "meet-proof"

# Comparing heads on the local network
NEARBY_KEY: Final = PREFIX + "nearby-key"
NEARBY_TAG: Final = PREFIX + "nearby-tag"
NEARBY_NOTE: Final = PREFIX + "nearby-note"
NEARBY_HEAD: Final = PREFIX + "nearby-head"

# Invite and handshake
INVITE_ID: Final = PREFIX + "invite-id"
INVITE_MAILBOX: Final = PREFIX + "invite-mailbox"
INVITE_KEY: Final = PREFIX + "invite-key"
INVITE_DEPOSIT: Final = PREFIX + "invite-deposit"
GREETING: Final = PREFIX + "greeting"
GREETING_HASH: Final = PREFIX + "greeting-hash"
ANSWER: Final = PREFIX + "answer"
ANSWER_HASH: Final = PREFIX + "answer-hash"
ANSWER_KEY: Final = PREFIX + "answer-key"
ANSWER_SEAL: Final = PREFIX + "answer-seal"
ANSWER_SIGN: Final = PREFIX + "answer-sign"
ANSWER_SLOT: Final = PREFIX + "answer-slot"
FINISH: Final = PREFIX + "finish"
FINISH_KEY: Final = PREFIX + "finish-key"
FINISH_SEAL: Final = PREFIX + "finish-seal"
FINISH_SIGN: Final = PREFIX + "finish-sign"
FINISH_MAC: Final = PREFIX + "finish-mac"
CONFIRM_MAC: Final = PREFIX + "confirm-mac"
TRANSCRIPT: Final = PREFIX + "transcript"
RELATIONSHIP: Final = PREFIX + "relationship"
RELATIONSHIP_ID: Final = PREFIX + "relationship-id"

# Taking relationships back after a theft
RECLAIM: Final = PREFIX + "reclaim"
RECLAIM_KEY: Final = PREFIX + "reclaim-key"
RECLAIM_SEAL: Final = PREFIX + "reclaim-seal"
RECLAIM_SIGN: Final = PREFIX + "reclaim-sign"
RECLAIM_SLOT: Final = PREFIX + "reclaim-slot"
RECLAIM_TRANSCRIPT: Final = PREFIX + "reclaim-transcript"

# Guardians
GUARDIAN_SHARE: Final = PREFIX + "guardian-share"
GUARDIAN_SPLIT: Final = PREFIX + "guardian-split"
GUARDIAN_RELEASE: Final = PREFIX + "guardian-release"
GUARDIAN_SEAL: Final = PREFIX + "guardian-seal"

# Parcels and mailboxes
PARCEL_SEAL: Final = PREFIX + "parcel-seal"
PARCEL_KEY: Final = PREFIX + "parcel-key"
PARCEL: Final = PREFIX + "parcel"
ITEM: Final = PREFIX + "item"
SLOT_KEY: Final = PREFIX + "slot-key"
SLOT: Final = PREFIX + "slot"
DEPOSIT: Final = PREFIX + "deposit"

# Directory
HANDLE: Final = PREFIX + "handle"

# Servers
SERVER_STATEMENT: Final = PREFIX + "server-statement"
SERVER_SUCCESSION: Final = PREFIX + "server-succession"
SERVER_FINGERPRINT: Final = PREFIX + "server-fingerprint"
SERVER_FORGOTTEN: Final = PREFIX + "server-forgotten"
GATEWAY_KEY_ID: Final = PREFIX + "gateway-key-id"
GATEWAY_REQUEST: Final = PREFIX + "gateway-request"
GATEWAY_ANSWER: Final = PREFIX + "gateway-answer"
