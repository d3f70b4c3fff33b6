-- missed_at: when a look for the file first found none, in the database's time; null while it is there
ALTER TABLE media ADD COLUMN missed_at {epoch};
CREATE INDEX media_missed ON media (id) WHERE missed_at IS NOT NULL;
CREATE INDEX media_use ON media (last_used_net, id) WHERE state NOT IN ('deleting', 'deleted');
CREATE INDEX message_media ON message (media_id) WHERE media_id IS NOT NULL;

-- spare_at: when a file was made that has not gone out yet, in the database's time; null for those that no one may evict
ALTER TABLE rendition ADD COLUMN spare_at {epoch};
UPDATE rendition SET spare_at = 0 WHERE file IS NOT NULL AND NOT EXISTS (SELECT 1 FROM copy WHERE copy.rendition_id = rendition.id);
CREATE INDEX rendition_spare ON rendition (spare_at, id) WHERE spare_at IS NOT NULL;

-- One run of gc. Items of the lane chore:gc. what: media, messages; state: waiting, done, failed; deleted, bytes: so far
CREATE TABLE gc_run (
    seq {identity},
    id text NOT NULL UNIQUE,
    what text NOT NULL,
    asked_by text NOT NULL,
    asked_at {epoch} NOT NULL,
    state text NOT NULL,
    deleted bigint NOT NULL,
    bytes bigint NOT NULL,
    lane text NOT NULL,
    attempts bigint NOT NULL,
    not_before {epoch}
);
CREATE UNIQUE INDEX gc_run_open ON gc_run (what) WHERE state = 'waiting';
CREATE INDEX gc_run_head ON gc_run (lane, seq) WHERE state = 'waiting';
