-- Tokens that were given back before their end; a row may go once expires_at has passed.
CREATE TABLE revoked (
    jti text PRIMARY KEY,
    expires_at {epoch} NOT NULL
);
CREATE INDEX revoked_expired ON revoked (expires_at);

-- Wrong passwords of one account from one address since since_at.
CREATE TABLE brake (
    account text NOT NULL,
    address text NOT NULL,
    since_at {epoch} NOT NULL,
    failures bigint NOT NULL,
    PRIMARY KEY (account, address)
);
CREATE INDEX brake_over ON brake (since_at);

-- The first answer to a request with an Idempotency-Key; request_sha256 tells whether a later one is the same.
CREATE TABLE idempotency (
    "user" text NOT NULL,
    key text NOT NULL,
    request_sha256 text NOT NULL,
    answer text NOT NULL,
    expires_at {epoch} NOT NULL,
    PRIMARY KEY ("user", key)
);
CREATE INDEX idempotency_expired ON idempotency (expires_at);

CREATE INDEX media_recent ON media (created_net, id);
