-- Where callbacks go. failures: connections in a row that came to nothing; until paused_until nobody tries, then one at a time.
CREATE TABLE endpoint (
    id text PRIMARY KEY,
    failures bigint NOT NULL,
    paused_until {epoch} NOT NULL
);

-- replay_of: the callback whose id this one carries; to_url: where it goes in place of the URL that is set
ALTER TABLE callback ADD COLUMN replay_of text;
ALTER TABLE callback ADD COLUMN to_url text;
CREATE INDEX callback_state ON callback (state, seq);
CREATE INDEX callback_made ON callback (created_at);
CREATE INDEX attempt_tried ON attempt (tried_at);
