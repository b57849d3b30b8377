-- uuid versions: equal or not, and the next one is random.

CREATE TABLE t (id int PRIMARY KEY, note text, etag uuid DEFAULT '11111111-1111-4111-8111-111111111111');
INSERT INTO t VALUES (1, 'one'), (2, 'two');
INSERT INTO t VALUES (3, 'three', NULL);
SELECT occ.enable('t', 'etag');

UPDATE t SET note = 'new', etag = '11111111-1111-4111-8111-111111111111' WHERE id = 1
RETURNING etag <> '11111111-1111-4111-8111-111111111111' AS moved, substr(etag::text, 15, 1) AS uuid_version,
          substr(etag::text, 20, 1) IN ('8', '9', 'a', 'b') AS variant;
UPDATE t SET note = 'stale', etag = '44444444-4444-4444-8444-444444444444' WHERE id = 2;
UPDATE t SET note = 'blind' WHERE id = 2 RETURNING etag IS NOT NULL AS moved;
UPDATE t SET etag = '22222222-2222-4222-8222-222222222222' WHERE id = 3;
UPDATE t SET etag = NULL WHERE id = 3 RETURNING etag IS NOT NULL AS moved;
SELECT count(DISTINCT etag) FROM t;

-- All rows of one statement get versions of their own.
UPDATE t SET note = 'all';
SELECT count(DISTINCT etag) FROM t;

SELECT occ.enable('t', 'etag', preset => 'orm');
UPDATE t SET etag = '33333333-3333-4333-8333-333333333333' WHERE id = 1 RETURNING etag;
UPDATE t SET etag = '33333333-3333-4333-8333-333333333333' WHERE id = 1 RETURNING etag;
UPDATE t SET note = 'no version' WHERE id = 1 RETURNING etag;
UPDATE t SET etag = NULL WHERE id = 1;

SELECT occ.enable('t', 'etag', token => 'next');
SELECT occ.enable('t', 'etag', time_precision => 'ms');
DROP TABLE t;
