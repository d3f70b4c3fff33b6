-- When somebody first set to work on it, by the database's clock; null while it waits for its turn.
ALTER TABLE prep ADD COLUMN begun {epoch};
