-- Bytes that a media held before its file was changed by hand: its phones have those, and ask for them
CREATE TABLE former (
    media_id text NOT NULL,
    sha256 text NOT NULL,
    PRIMARY KEY (media_id, sha256)
);
CREATE INDEX former_content ON former (sha256);
INSERT INTO former (media_id, sha256)
SELECT DISTINCT media.id, rendition.source_sha256 FROM rendition
JOIN message ON message.rendition_id = rendition.id JOIN media ON media.id = message.media_id
WHERE rendition.source_sha256 <> media.sha256 AND media.state <> 'deleted';
