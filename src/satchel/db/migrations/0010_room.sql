-- troubled: since when a preparation has been put off for the reason that stands in `why`
ALTER TABLE prep ADD COLUMN troubled {epoch};
