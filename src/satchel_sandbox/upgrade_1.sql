-- From user_version 1, whose messages could not ask their sender for media again, to the layout of schema.sql, which runs at the dashes.

DROP INDEX message_of_phone;
DROP INDEX message_waiting;
DROP INDEX message_due;
DROP INDEX message_file;
ALTER TABLE world ADD COLUMN life REAL NOT NULL DEFAULT 1209600;
ALTER TABLE message RENAME TO old_message;
----
INSERT INTO message (seq, id, phone, sender, at, envelope, state, reason, due, file, read_at, played_at)
SELECT seq, id, phone, sender, at, envelope, state, reason, due, file, read_at, played_at FROM old_message;
DROP TABLE old_message;
