-- From the first layout (user_version 0) to the one of schema.sql, which runs in the middle of this, at the line of dashes.

DROP INDEX message_of_phone;
DROP INDEX message_unfinished;
DROP INDEX upstream_event_lane;
ALTER TABLE world ADD COLUMN life REAL NOT NULL DEFAULT 1209600;
ALTER TABLE message RENAME TO old_message;
ALTER TABLE upstream_event RENAME TO old_event;
----
INSERT INTO phone (number, name, system, locale, timezone, online, auto_download, read_receipts, blocked)
SELECT DISTINCT phone, phone, 'android', 'en', 'UTC', 1, 1, 1, 0 FROM old_message;
INSERT INTO message (seq, id, phone, sender, at, envelope, state, reason, due, file)
SELECT seq, id, phone, json_extract(CAST(envelope AS TEXT), '$.from'), at, envelope,
       CASE state WHEN 'downloading' THEN 'queued' ELSE state END, reason,
       CASE state WHEN 'server' THEN at END, phone || '/' || seq
FROM old_message;
INSERT INTO upstream_event (seq, id, lane, head, body)
SELECT seq, id, lane, seq = min(seq) OVER (PARTITION BY lane), body FROM old_event;
DROP TABLE old_message;
DROP TABLE old_event;
