-- When a media was deleted, and by whom or what: a user's name, or the clean-up and its rule
ALTER TABLE media ADD COLUMN gone_net {epoch};
ALTER TABLE media ADD COLUMN gone_by text;
