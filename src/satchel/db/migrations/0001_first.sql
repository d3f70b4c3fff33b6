-- Columns ending in _net hold network time, those ending in _at wall time; both in seconds since 1970.
-- Written in what both engines take; what differs stands in braces and is filled in by the engine.

CREATE TABLE setting (
    key text PRIMARY KEY,
    json text NOT NULL,
    changed_by text
);

CREATE TABLE "user" (
    name text PRIMARY KEY,
    role text NOT NULL,
    password_hash text NOT NULL,
    epoch bigint NOT NULL
);

CREATE TABLE host (
    id text PRIMARY KEY,
    role text NOT NULL,
    version text NOT NULL,
    beat_at {epoch} NOT NULL,
    stats text NOT NULL
);

CREATE TABLE lane (
    name text PRIMARY KEY,
    kind text NOT NULL,
    run_at {epoch},
    lease text,
    claims bigint NOT NULL,
    parked_on text
) {lane_storage};
CREATE INDEX lane_due ON lane (kind, run_at) WHERE run_at IS NOT NULL;

-- state: live, deleting (gone for readers, the file not yet), deleted
CREATE TABLE media (
    id text PRIMARY KEY,
    direction text NOT NULL,
    mime text NOT NULL,
    size bigint NOT NULL,
    sha256 text NOT NULL,
    stamp text NOT NULL,
    state text NOT NULL,
    "user" text,
    created_net {epoch} NOT NULL,
    last_used_net {epoch} NOT NULL
);
CREATE INDEX media_content ON media (sha256);
CREATE INDEX media_deleting ON media (id) WHERE state = 'deleting';

-- file: name under renditions/, null where the original itself goes out; refusal: why it cannot, as JSON
CREATE TABLE rendition (
    id text PRIMARY KEY,
    source_sha256 text NOT NULL,
    media_type text NOT NULL,
    profile text NOT NULL,
    file text,
    mime text NOT NULL,
    size bigint NOT NULL,
    sha256 text NOT NULL,
    media_key text UNIQUE,
    facts text NOT NULL,
    refusal text,
    UNIQUE (source_sha256, media_type, profile)
);
CREATE INDEX rendition_file ON rendition (file) WHERE file IS NOT NULL;

CREATE TABLE copy (
    id text PRIMARY KEY,
    rendition_id text NOT NULL,
    upstream text NOT NULL,
    address text NOT NULL,
    expires_net {epoch} NOT NULL,
    state text NOT NULL
);
CREATE UNIQUE INDEX copy_live ON copy (rendition_id, upstream) WHERE state = 'live';

-- state: waiting, handed (upstream has it), failed
CREATE TABLE message (
    seq {identity},
    id text NOT NULL UNIQUE,
    direction text NOT NULL,
    wa_id text NOT NULL,
    type text NOT NULL,
    body text NOT NULL,
    media_id text,
    rendition_id text,
    copy_id text,
    upstream text NOT NULL,
    world text,
    state text NOT NULL,
    accepted_net {epoch} NOT NULL,
    accepted_at {epoch} NOT NULL,
    lane text NOT NULL,
    attempts bigint NOT NULL,
    not_before {epoch}
);
CREATE INDEX message_head ON message (lane, seq) WHERE state = 'waiting';
CREATE INDEX message_needs ON message (media_id) WHERE state = 'waiting';

CREATE TABLE status (
    message_id text NOT NULL,
    status text NOT NULL,
    at_net {epoch} NOT NULL,
    fault text,
    PRIMARY KEY (message_id, status)
);

-- state: absorbed, unknown (no such message here), dropped (another world's)
CREATE TABLE upstream_event (
    upstream text NOT NULL,
    dedupe_key text NOT NULL,
    world text NOT NULL,
    body text NOT NULL,
    state text NOT NULL,
    taken_at {epoch} NOT NULL,
    PRIMARY KEY (upstream, dedupe_key)
);

-- state: waiting, done, dead (given up), unsent (no URL was set); body is frozen when written
CREATE TABLE callback (
    seq {identity},
    id text NOT NULL UNIQUE,
    cause text NOT NULL UNIQUE,
    wa_id text NOT NULL,
    body text NOT NULL,
    state text NOT NULL,
    created_at {epoch} NOT NULL,
    lane text NOT NULL,
    attempts bigint NOT NULL,
    not_before {epoch}
);
CREATE INDEX callback_head ON callback (lane, seq) WHERE state = 'waiting';

CREATE TABLE attempt (
    callback_id text NOT NULL,
    n bigint NOT NULL,
    tried_at {epoch} NOT NULL,
    result text NOT NULL,
    ms bigint NOT NULL,
    PRIMARY KEY (callback_id, n)
);
