-- Media that came with a message. Its bytes may still be with the network: `source` is the upstream's own text about where and under which key.
-- type: as callbacks name it; answer: what the sender's phone said when it was asked, since asked_at, to put the bytes there once more
CREATE TABLE remote (
    media_id text PRIMARY KEY,
    message_id text NOT NULL,
    wa_id text NOT NULL,
    type text NOT NULL,
    size bigint NOT NULL,
    source text NOT NULL,
    asked_at {epoch},
    answer text
);
CREATE INDEX remote_message ON remote (message_id);

-- Downloads that the business asked for: items of lanes, one at a time for a media. state: waiting, done
CREATE TABLE download (
    seq {identity},
    id text NOT NULL UNIQUE,
    media_id text NOT NULL,
    wa_id text NOT NULL,
    lane text NOT NULL,
    state text NOT NULL,
    created_at {epoch} NOT NULL,
    attempts bigint NOT NULL,
    not_before {epoch}
);
CREATE UNIQUE INDEX download_open ON download (media_id) WHERE state = 'waiting';
CREATE INDEX download_head ON download (lane, seq) WHERE state = 'waiting';
