-- The directory. A handle is kept as a hash; whoever looks it up gets the secret of a reusable invite.
CREATE TABLE handles (
    handle BLOB PRIMARY KEY NOT NULL,
    vault BLOB NOT NULL REFERENCES vaults ON DELETE CASCADE,
    secret BLOB                                 -- NULL: private, kept for its vault and shown to nobody
) STRICT, WITHOUT ROWID;
CREATE INDEX handles_by_vault ON handles (vault);

-- All that look-ups read. Private handles are not in it, so that they cost what unknown ones cost.
CREATE INDEX handles_to_find ON handles (handle, secret) WHERE secret IS NOT NULL;
