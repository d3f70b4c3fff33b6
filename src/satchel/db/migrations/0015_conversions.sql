-- Sound is converted in these lanes as well as film
UPDATE lane SET kind = 'convert' WHERE kind = 'film';

-- why_slug: the situation in `why`, of what was put off; those that the volume put off are found by it
ALTER TABLE prep ADD COLUMN why_slug text;
UPDATE prep SET why_slug = (
    SELECT slug FROM (
        SELECT 'volume-full' AS slug UNION ALL SELECT 'volume-not-writable'
        UNION ALL SELECT 'volume-missing' UNION ALL SELECT 'volume-unreadable'
    ) AS known WHERE prep.why LIKE '%"slug":"' || known.slug || '"%'
) WHERE outcome IS NULL AND why IS NOT NULL;
