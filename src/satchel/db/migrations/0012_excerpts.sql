-- excerpt: how the answer began, of an attempt that was not taken; null where nothing was said
ALTER TABLE attempt ADD COLUMN excerpt text;
