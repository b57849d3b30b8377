-- ignore: columns whose change alone neither moves nor needs the version.

CREATE TABLE page (
    id int PRIMARY KEY,
    title text,
    body text,
    views int DEFAULT 0,
    seen timestamptz,
    summary text GENERATED ALWAYS AS (left(body, 10)) STORED,
    hits int GENERATED ALWAYS AS (views * 2) STORED
);
INSERT INTO page (id, title, body) VALUES (1, 'one', 'text'), (2, 'two', repeat('wide text, compressed and moved out of line; ', 1000));
-- A value that is stored out of line.
ALTER TABLE page ALTER COLUMN body SET STORAGE EXTERNAL;
INSERT INTO page (id, title, body) SELECT 3, 'three', string_agg(md5(i::text), '') FROM generate_series(1, 1000) AS i;
SELECT occ.enable('page', ignore => '{views,seen}');
SELECT ignore FROM occ.tables;

UPDATE page SET views = views + 1 RETURNING id, version, hits;
UPDATE page SET views = views + 1, seen = now() RETURNING id, version;
UPDATE page SET views = views + 1, title = upper(title) RETURNING id, version;
-- The same value again is no change, neither in a wide column nor where nothing is ignored.
UPDATE page SET body = body, title = title, views = views + 1 RETURNING id, version;
UPDATE page SET body = body || '' RETURNING id, version;
UPDATE page SET title = title RETURNING id, version;
UPDATE page SET title = NULL WHERE id = 1 RETURNING id, version;
UPDATE page SET title = NULL WHERE id = 1 RETURNING id, version;

-- A stated version is still checked, and an echo moves nothing if nothing else does.
UPDATE page SET views = 0, version = 1 WHERE id = 1;
UPDATE page SET views = 0, version = 3 WHERE id = 1 RETURNING version;
UPDATE page SET title = 'uno', version = 3 WHERE id = 1 RETURNING version;
UPDATE page SET views = 1, version = 5 WHERE id = 1 RETURNING version;

-- Under strict, too.
SELECT occ.enable('page', preset => 'strict', ignore => '{views,seen}');
UPDATE page SET views = views + 1 WHERE id = 1 RETURNING version;
UPDATE page SET title = 'ein' WHERE id = 1;
UPDATE page SET title = 'ein', version = 5 WHERE id = 1 RETURNING version;

-- All columns but the version may be ignored; then only stated versions move it.
SELECT occ.enable('page', ignore => '{id,title,body,views,seen}');
UPDATE page SET title = 'un' WHERE id = 1 RETURNING version;
UPDATE page SET title = 'un', version = 7 WHERE id = 1 RETURNING version;

-- A stamp is a change of the version column itself.
ALTER TABLE page ADD COLUMN updated_at timestamptz DEFAULT '2020-01-01';
SELECT occ.enable('page', 'updated_at', ignore => '{views}');
UPDATE page SET views = 9, updated_at = now() WHERE id = 1 RETURNING updated_at = now() AS stamped;
UPDATE page SET views = 10 WHERE id = 2 RETURNING updated_at = '2020-01-01' AS kept;
-- But it says nothing about what was read, so it needs no version either.
SELECT occ.enable('page', 'updated_at', ignore => '{views}', unstated => 'reject');
UPDATE page SET views = 11, updated_at = now() WHERE id = 2 RETURNING updated_at = now() AS stamped;
UPDATE page SET title = 'deux', updated_at = now() WHERE id = 2;

-- Without ignore, an update that changes nothing moves the version.
SELECT occ.enable('page');
UPDATE page SET title = title WHERE id = 2 RETURNING version;

-- A stated time repairs an infinite one, even if nothing else changes.
UPDATE page SET updated_at = '2020-01-01' WHERE id = 3;
SELECT occ.enable('page', 'updated_at', preset => 'strict', ignore => '{views}');
ALTER TABLE page DISABLE TRIGGER _occ_guard;
UPDATE page SET updated_at = 'infinity' WHERE id = 3;
ALTER TABLE page ENABLE TRIGGER _occ_guard;
UPDATE page SET updated_at = '2020-01-01' WHERE id = 3 RETURNING isfinite(updated_at) AS repaired;

SELECT occ.enable('page', ignore => '{nothing}');
SELECT occ.enable('page', ignore => '{version}');
SELECT occ.enable('page', ignore => '{NULL}');
SELECT occ.enable('page', ignore => '{{views},{seen}}');
DROP TABLE page;
