-- What was told of a vault that left: whom it removed, where it stands no more. And how long a fill may take.
ALTER TABLE vaults ADD COLUMN denied BLOB NOT NULL DEFAULT x'';     -- member ids, one after the other
ALTER TABLE fills ADD COLUMN begun INTEGER NOT NULL DEFAULT 0;      -- milliseconds, by the server's clock
