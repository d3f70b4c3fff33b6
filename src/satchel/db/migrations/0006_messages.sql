-- Messages as people look at them: those to one number, and the replays of a callback.
CREATE INDEX message_to ON message (wa_id, seq);
CREATE INDEX callback_replays ON callback (replay_of) WHERE replay_of IS NOT NULL;
