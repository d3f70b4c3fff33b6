-- Phones that ask for media whose copy is over: items of a lane per rendition, so that however many ask, one re-upload serves them.
-- asked: the request as the upstream's adapter reads it; result: how it was answered. state: waiting, done
CREATE TABLE reupload (
    seq {identity},
    id text NOT NULL UNIQUE,
    lane text NOT NULL,
    message_id text NOT NULL,
    recipient text NOT NULL,
    world text NOT NULL,
    asked text NOT NULL,
    asked_net {epoch} NOT NULL,
    state text NOT NULL,
    result text,
    taken_at {epoch} NOT NULL,
    attempts bigint NOT NULL,
    not_before {epoch}
);
CREATE INDEX reupload_head ON reupload (lane, seq) WHERE state = 'waiting';
CREATE INDEX reupload_taken ON reupload (taken_at) WHERE state = 'done';

-- placed_net: when the upstream last said that its 14 days begin
ALTER TABLE copy ADD COLUMN placed_net {epoch} NOT NULL DEFAULT 0;
