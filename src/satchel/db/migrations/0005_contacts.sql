-- Whether a number is on the network, as it was last asked. state: valid, invalid
CREATE TABLE contact (
    wa_id text PRIMARY KEY,
    state text NOT NULL,
    checked_at {epoch} NOT NULL
);
CREATE INDEX contact_checked ON contact (checked_at);
