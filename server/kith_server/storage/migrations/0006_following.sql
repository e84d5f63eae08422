-- What was told of a vault that left: whom it removed, where it stands no more.
ALTER TABLE vaults ADD COLUMN denied BLOB NOT NULL DEFAULT x'';     -- member ids, one after the other
