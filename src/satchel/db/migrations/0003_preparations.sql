-- What messages wait for: a link to be fetched (kind link), some bytes to be made ready as a media type (kind prep). Items of lanes.
-- outcome: how it ended, as JSON; null while it is open. state: waiting, done (nobody waits for it any more)
CREATE TABLE prep (
    seq {identity},
    id text NOT NULL UNIQUE,
    kind text NOT NULL,
    lane text NOT NULL,
    source_sha256 text,
    media_id text,
    link text,
    provider text,
    media_type text,
    profile text,
    state text NOT NULL,
    outcome text,
    why text,
    steps text NOT NULL,
    created_at {epoch} NOT NULL,
    ended {epoch},
    attempts bigint NOT NULL,
    not_before {epoch}
);
CREATE UNIQUE INDEX prep_open ON prep (lane) WHERE outcome IS NULL;
CREATE INDEX prep_head ON prep (lane, seq) WHERE state = 'waiting';
CREATE INDEX prep_ended ON prep (ended) WHERE state = 'done';

-- prep: what the message waits for or waited for last, since `parked`
ALTER TABLE message ADD COLUMN link text;
ALTER TABLE message ADD COLUMN prep text;
ALTER TABLE message ADD COLUMN parked {epoch};
ALTER TABLE message ADD COLUMN retries bigint NOT NULL DEFAULT 0;
CREATE INDEX message_parked ON message (prep) WHERE state = 'waiting' AND prep IS NOT NULL;

CREATE INDEX lane_parked ON lane (parked_on) WHERE parked_on IS NOT NULL;
CREATE INDEX lane_suspect ON lane (kind, run_at) WHERE claims >= 2;

-- The timeline of a message: json is the list of steps that one transaction added.
CREATE TABLE step (
    message_id text NOT NULL,
    n bigint NOT NULL,
    json text NOT NULL,
    PRIMARY KEY (message_id, n)
);
