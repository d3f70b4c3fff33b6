-- Everything the simulated network must remember. A reset empties all tables but `world`, whose row it renews.

CREATE TABLE IF NOT EXISTS world (
    one      INTEGER PRIMARY KEY CHECK (one = 1),
    id       TEXT NOT NULL,
    "offset" REAL NOT NULL,            -- seconds: network time - wall time
    key      BLOB NOT NULL,            -- signs the query of each direct_path
    life     REAL NOT NULL DEFAULT 1209600  -- seconds that an encrypted blob lives from each send: 14 days unless set
) STRICT;

-- One encrypted blob on the media server. The row outlives the bytes: it tells "over" (410) from "unknown" (404).
CREATE TABLE IF NOT EXISTS copy (
    token       TEXT PRIMARY KEY,      -- base64url of the blob's SHA-256, no padding; also the file's name
    kind        TEXT NOT NULL,
    size        INTEGER NOT NULL,
    direct_path TEXT NOT NULL,
    expires     REAL NOT NULL          -- network time
) STRICT;

CREATE TABLE IF NOT EXISTS phone (
    number        TEXT PRIMARY KEY,
    name          TEXT NOT NULL,
    system        TEXT NOT NULL CHECK (system IN ('android', 'iphone')),
    locale        TEXT NOT NULL,
    timezone      TEXT NOT NULL,
    online        INTEGER NOT NULL,
    auto_download INTEGER NOT NULL,
    read_receipts INTEGER NOT NULL,
    blocked       INTEGER NOT NULL,    -- it has blocked the business: what is sent from then on never reaches it
    chat          TEXT                 -- the business whose chat is open; '*': the first that will write
) STRICT;

CREATE TABLE IF NOT EXISTS message (
    seq      INTEGER PRIMARY KEY,      -- rows only go all at once
    id       TEXT NOT NULL UNIQUE,
    phone    TEXT NOT NULL,
    sender   TEXT NOT NULL,
    at       REAL NOT NULL,            -- network time of the intake
    envelope BLOB NOT NULL,            -- JSON as it came over the wire, known members only; empty when the message is lost
    -- server: not on the phone yet; lost: never will be; arrived: on the phone, no media; the others: on the phone, and where its media is
    state    TEXT NOT NULL
        CHECK (state IN ('server', 'lost', 'arrived', 'queued', 'not_downloaded', 'downloaded', 'requesting', 'unavailable')),
    reason   TEXT,                     -- why it is unavailable, requesting or lost
    due      REAL,                     -- network time at which its next step happens by itself; NULL: at once, or never
    file     TEXT,                     -- the name of its plain bytes below the world's folder of phones; shared by all that got the same
    read_at  REAL,                     -- network time; NULL: unread
    played_at REAL,
    origin   TEXT,                     -- of a forwarded one: the business's message it came from, whose sender is asked; NULL: itself
    asked_at REAL,                     -- wall time at which the sender was asked for the media; NULL: no answer is waited for
    asks     INTEGER NOT NULL DEFAULT 0  -- how often in a row, since a person or the server last set the download off
) STRICT;
CREATE INDEX IF NOT EXISTS message_of_phone ON message (phone, seq);
CREATE INDEX IF NOT EXISTS message_waiting ON message (phone, due) WHERE state = 'server';
CREATE INDEX IF NOT EXISTS message_due ON message (due, seq) WHERE due IS NOT NULL;
CREATE INDEX IF NOT EXISTS message_origin ON message (origin) WHERE origin IS NOT NULL;
CREATE INDEX IF NOT EXISTS message_asking ON message (phone, seq) WHERE state = 'requesting';
CREATE INDEX IF NOT EXISTS message_asked ON message (asked_at) WHERE state = 'requesting';
CREATE INDEX IF NOT EXISTS message_file ON message (file) WHERE state = 'downloaded';

-- The chat that is open on a phone, as it was when it was opened; no row: nothing was in it, or no chat is open.
CREATE TABLE IF NOT EXISTS visit (
    phone      TEXT PRIMARY KEY,
    business   TEXT NOT NULL,
    divider_at INTEGER,                -- seq of the first message that was unread; NULL: none was
    unread     INTEGER NOT NULL,       -- how many were
    horizon    INTEGER NOT NULL        -- seq of the newest
) STRICT;

-- Messages that phones have sent to a business: their rows in `message` have the business as sender and the phone in the envelope.
CREATE TABLE IF NOT EXISTS mine (
    seq     INTEGER PRIMARY KEY,       -- of the message
    event   INTEGER NOT NULL,          -- the seq of the upstream event that tells of it; delivered once that is gone
    seen_at REAL                       -- network time at which the business said that it has read it
) STRICT;

-- Requests of a business for media that phones sent and that are over on the server; they wait for the phone.
CREATE TABLE IF NOT EXISTS asked (
    seq    INTEGER PRIMARY KEY,        -- of the message
    enc_p  BLOB NOT NULL,
    enc_iv BLOB NOT NULL
) STRICT;

-- The emoji that a phone has put under a message of its conversation.
CREATE TABLE IF NOT EXISTS reaction (
    phone   TEXT NOT NULL,
    message TEXT NOT NULL,
    emoji   TEXT NOT NULL,
    PRIMARY KEY (phone, message)
) STRICT;

-- What the node has not confirmed yet. A lane is a message's id, `in:` and a number for what that phone sends, or '' for state; within a
-- lane the order is strict.
CREATE TABLE IF NOT EXISTS upstream_event (
    seq  INTEGER PRIMARY KEY AUTOINCREMENT,
    id   TEXT NOT NULL,
    lane TEXT NOT NULL,
    head INTEGER NOT NULL,             -- 1: the oldest of its lane; only heads are sent
    body BLOB NOT NULL                 -- the JSON object, the same bytes at each attempt
) STRICT;
CREATE INDEX IF NOT EXISTS upstream_event_lane ON upstream_event (lane, seq);
CREATE INDEX IF NOT EXISTS upstream_event_head ON upstream_event (seq) WHERE head = 1;

PRAGMA user_version = 2;
