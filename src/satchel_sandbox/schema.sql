-- Everything the simulated network must remember. A reset empties all tables but `world`, whose row it renews.

CREATE TABLE IF NOT EXISTS world (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    id       TEXT NOT NULL,
    "offset" REAL NOT NULL,            -- seconds: network time - wall time
    key      BLOB NOT NULL             -- signs the query of each direct_path
) STRICT;

-- One encrypted blob on the media server. The row outlives the bytes: it tells "over" (410) from "unknown" (404).
CREATE TABLE IF NOT EXISTS copy (
    token       TEXT PRIMARY KEY,      -- base64url of the blob's SHA-256, no padding; also the file's name
    kind        TEXT NOT NULL,
    size        INTEGER NOT NULL,
    direct_path TEXT NOT NULL,
    expires     REAL NOT NULL          -- network time
) STRICT;

CREATE TABLE IF NOT EXISTS message (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT,
    id       TEXT NOT NULL UNIQUE,
    phone    TEXT NOT NULL,
    at       REAL NOT NULL,            -- network time of the intake
    envelope BLOB NOT NULL,            -- JSON as it came over the wire, known members only
    -- server: not on the phone yet; arrived: on the phone, no media; the others: on the phone, and where its media is
    state    TEXT NOT NULL CHECK (state IN ('server', 'arrived', 'queued', 'downloading', 'downloaded', 'unavailable')),
    reason   TEXT                      -- why it is unavailable
) STRICT;
CREATE INDEX IF NOT EXISTS message_of_phone ON message (phone, seq);
CREATE INDEX IF NOT EXISTS message_unfinished ON message (seq) WHERE state IN ('server', 'queued', 'downloading');

-- What the node has not confirmed yet. A lane is a message's id, or '' for state; within a lane the order is strict.
CREATE TABLE IF NOT EXISTS upstream_event (
    seq  INTEGER PRIMARY KEY AUTOINCREMENT,
    id   TEXT NOT NULL UNIQUE,
    lane TEXT NOT NULL,
    body BLOB NOT NULL                 -- the JSON object, the same bytes at each attempt
) STRICT;
CREATE INDEX IF NOT EXISTS upstream_event_lane ON upstream_event (lane, seq);
