-- Keys whose index is no B-tree: those WITHOUT OVERLAPS are GiST.  They came with PostgreSQL 18; before, there is nothing to see.
SELECT current_setting('server_version_num')::int < 180000 AS too_old \gset
\if :too_old
\quit
\endif
\set SHOW_CONTEXT never
SET client_min_messages = warning;
CREATE EXTENSION btree_gist;
SET DateStyle = 'ISO';

-- A period is named by what it is, and its neighbours, which touch it, are not written.
CREATE TABLE booking (room int, valid daterange, note text, version int NOT NULL DEFAULT 1, PRIMARY KEY (room, valid WITHOUT OVERLAPS));
INSERT INTO booking SELECT 1, daterange(d, d + 10), 'old' FROM generate_series(date '2026-01-01', '2026-01-31', '10 days') AS g, date(g) AS d;
INSERT INTO booking VALUES (2, '[2026-01-01,)', 'old'), (3, '(,)', 'old');
SELECT occ.enable('booking');
SELECT key_columns FROM occ.tables;
SELECT * FROM occ.update('booking', '[
    {"room": 2, "valid": "[2026-01-01,)", "version": 1, "note": "new"},
    {"room": 1, "valid": "[2026-01-11,2026-01-20]", "version": 1, "note": "new"}]');
SELECT * FROM booking ORDER BY room, valid;
-- Of two that overlap, only the one that is named is there.
SELECT * FROM occ.check('booking', '[{"room": 1, "valid": "[2026-01-11,2026-01-21)", "version": 2}]');
SELECT * FROM occ.update('booking', '[{"room": 1, "valid": "[2026-01-12,2026-01-21)", "version": 2, "note": "no"}]', on_conflict => 'skip');
SELECT * FROM occ.update('booking', '[
    {"room": 1, "valid": "[2026-01-11,2026-01-21)", "version": 1, "note": "no"},
    {"room": 3, "valid": "(,)", "version": 1, "note": "no"},
    {"room": 1, "valid": "[2026-01-11,2026-01-13)", "version": 1, "note": "no"}]');
SELECT * FROM occ.check('booking', '[{"room": 1, "valid": "[2026-01-11,2026-01-21)", "version": 2}, {"room": 1, "valid": "(2026-01-10,2026-01-20]", "version": 2}]');
SELECT status FROM occ.check('booking', '{"room": 1, "valid": "empty", "version": 2}');
SELECT * FROM occ.check('booking', '{"room": 1, "version": 2}');
-- All functions, in the order of the input; a period that changes hands.
SELECT * FROM occ.touch('booking', '[{"room": 3, "valid": "(,)", "version": 1}, {"room": 1, "valid": "[2026-01-01,2026-01-11)", "version": 1}]');
SELECT * FROM occ.update_safely('booking', '{"room": 1, "valid": "[2026-01-01,2026-01-11)", "version": 2}', '{"valid": "[2025-12-01,2026-01-11)"}');
SELECT * FROM occ.update_safely('booking', '{"room": 1, "valid": "[2025-12-01,2026-01-11)", "version": 3}', '{"valid": "[2025-12-01,2026-01-12)"}');
SELECT * FROM occ.update_safely('booking', '{"room": 1, "valid": "[2025-12-01,2026-01-11)", "note": "old"}', '{"note": "new"}', lock_fields => '{note}');
SELECT * FROM occ.delete('booking', '{"room": 1, "valid": "[2025-12-01,2026-01-11)", "version": 4}');
UPDATE booking SET version = 9 WHERE room = 3;
SELECT * FROM occ.update('booking', (SELECT jsonb_agg(to_jsonb(b) || '{"note": "all"}' ORDER BY room, valid) FROM booking AS b));
SELECT * FROM booking ORDER BY room, valid;

-- A foreign key with PERIOD, both sides.
CREATE TABLE stay (id int PRIMARY KEY, room int, during daterange, version int NOT NULL DEFAULT 1,
    FOREIGN KEY (room, PERIOD during) REFERENCES booking (room, PERIOD valid));
INSERT INTO stay VALUES (1, 1, '[2026-01-12,2026-01-25)');
SELECT occ.enable('stay');
SELECT * FROM occ.update('stay', '{"id": 1, "version": 1, "during": "[2026-01-12,2026-01-26)"}');
SELECT * FROM occ.update('stay', '{"id": 1, "version": 2, "during": "[2025-01-12,2026-01-26)"}');
SELECT * FROM occ.touch('booking', '{"room": 1, "valid": "[2026-01-11,2026-01-21)", "version": 3}');
SELECT * FROM occ.delete('booking', '{"room": 1, "valid": "[2026-01-11,2026-01-21)", "version": 4}');
DROP TABLE stay, booking;

-- Rows are found by the key's index, one after the other.
CREATE TABLE many (id int, valid int4range, n int, version int NOT NULL DEFAULT 1, PRIMARY KEY (id, valid WITHOUT OVERLAPS));
INSERT INTO many SELECT i % 100, int4range(i, i + 100), 0 FROM generate_series(1, 5000) AS i;
ANALYZE many;
SELECT occ.enable('many');
CREATE TABLE read AS SELECT jsonb_agg(to_jsonb(m) || '{"n": 1}') AS rows FROM many AS m WHERE id < 20;
SELECT pg_stat_force_next_flush();
SELECT seq_scan AS scans FROM pg_stat_user_tables WHERE relname = 'many' \gset
SELECT count(*), count(DISTINCT status) FROM occ.update('many', (SELECT rows FROM read));
SELECT pg_stat_force_next_flush();
SELECT seq_scan - :scans AS scans_of_the_whole_table FROM pg_stat_user_tables WHERE relname = 'many';
SELECT n, version, count(*) FROM many GROUP BY 1, 2 ORDER BY 1;
DROP TABLE many, read;

-- Multiranges, domains over ranges, a unique constraint instead of a primary key, and key => beside it.
CREATE DOMAIN days AS daterange CHECK (NOT isempty(VALUE));
CREATE TABLE kinds (a text COLLATE "C" NOT NULL, m int4multirange NOT NULL, d days NOT NULL, e int NOT NULL, x numrange, version int NOT NULL DEFAULT 1);
INSERT INTO kinds VALUES ('a', '{[1,3),[5,7)}', '[2026-01-01,2026-01-05)', 1), ('a', '{[3,5)}', '[2026-01-05,2026-01-06)', 2), ('b', '{[3,5)}', '[2026-01-05,2026-01-07)', 3);
ALTER TABLE kinds ADD UNIQUE (a, m WITHOUT OVERLAPS);
SELECT occ.enable('kinds');
SELECT key_columns FROM occ.tables;
SELECT * FROM occ.touch('kinds', '[{"a": "b", "m": "{[3,4]}", "version": 1}, {"a": "a", "m": "{[1,3),[5,7)}", "version": 1}]');
SELECT * FROM occ.touch('kinds', '[{"a": "a", "m": "{[1,3)}", "version": 1}]');
-- Named columns need a unique index; a B-tree says best what is equal.
SELECT occ.enable('kinds', key => '{d,a}');
ALTER TABLE kinds ADD UNIQUE (a, d WITHOUT OVERLAPS);
SELECT occ.enable('kinds', key => '{d,a}');
SELECT * FROM occ.touch('kinds', '[{"a": "b", "d": "[2026-01-05,2026-01-06]", "version": 2}]');
SELECT occ.enable('kinds', key => '{e}');
ALTER TABLE kinds ADD UNIQUE (e);
SELECT occ.enable('kinds', key => '{e}');
SELECT * FROM occ.touch('kinds', '[{"e": 3, "version": 3}]');
SELECT occ.enable('kinds', key => '{a}');
SELECT occ.enable('kinds', key => '{a,m,e}');
SELECT * FROM occ.touch('kinds', '[{"e": 3, "a": "b", "m": "{[3,5)}", "version": 4}]');
SELECT e, version FROM kinds ORDER BY e;
DROP TABLE kinds;
DROP DOMAIN days;

-- Partitioned tables: the root, and a partition by itself.
CREATE TABLE parts (id int, valid tsrange, note text, version bigint NOT NULL DEFAULT 1, PRIMARY KEY (id, valid WITHOUT OVERLAPS)) PARTITION BY HASH (id);
CREATE TABLE parts_0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE parts_1 (note text, version bigint NOT NULL DEFAULT 1, valid tsrange NOT NULL, id int NOT NULL);
ALTER TABLE parts ATTACH PARTITION parts_1 FOR VALUES WITH (MODULUS 2, REMAINDER 1);
INSERT INTO parts SELECT i, tsrange('2026-01-01', '2026-02-01'), 'old' FROM generate_series(1, 4) AS i;
INSERT INTO parts SELECT i, tsrange('2026-02-01', NULL), 'old' FROM generate_series(1, 4) AS i;
SELECT occ.enable('parts');
SELECT key, status, version FROM occ.update('parts', (SELECT jsonb_agg(to_jsonb(p) || '{"note": "new"}' ORDER BY id, valid) FROM parts AS p WHERE lower_inc(valid) AND NOT upper_inf(valid)));
SELECT status, count(*) FROM occ.touch('parts_0', (SELECT jsonb_agg(to_jsonb(p)) FROM parts_0 AS p)) GROUP BY 1;
SELECT status, count(*) FROM occ.touch('parts_1', (SELECT jsonb_agg(to_jsonb(p)) FROM parts_1 AS p)) GROUP BY 1;
SELECT upper_inf(valid), note, version, count(*) FROM parts GROUP BY 1, 2, 3 ORDER BY 1;
UPDATE parts SET version = 9 WHERE id = 1;
DROP TABLE parts;

-- strict, with the range of a type of one's own; a version of another type.
CREATE TYPE floats AS RANGE (subtype = float8);
CREATE TABLE own (id uuid, f floats, body text, version timestamptz NOT NULL DEFAULT '2026-01-01Z', PRIMARY KEY (id, f WITHOUT OVERLAPS));
INSERT INTO own VALUES ('00000000-0000-0000-0000-000000000001', '[0.1,0.3)', 'x'), ('00000000-0000-0000-0000-000000000001', '[0.3,0.30000000000000004)', 'y');
SELECT occ.enable('own', preset => 'strict');
SELECT key, status FROM occ.update('own', (SELECT jsonb_agg(to_jsonb(o) || '{"body": "z"}' ORDER BY f) FROM own AS o));
SELECT key, status FROM occ.delete('own', (SELECT jsonb_agg(to_jsonb(o) ORDER BY f) FROM own AS o WHERE f @> 0.3::float8));
SELECT f, body FROM own;
DROP TABLE own;
DROP TYPE floats;
DROP EXTENSION btree_gist;

-- A unique index of another access method, whose strategy numbers mean what it likes: the type says what is equal.
CREATE ACCESS METHOD other TYPE INDEX HANDLER bthandler;
CREATE OPERATOR CLASS other_ops DEFAULT FOR TYPE int USING other AS OPERATOR 1 =, OPERATOR 3 <>, FUNCTION 1 btint4cmp(int, int);
CREATE TABLE elsewhere (id int NOT NULL, note text, version int NOT NULL DEFAULT 1);
CREATE UNIQUE INDEX elsewhere_id ON elsewhere USING other (id);
INSERT INTO elsewhere VALUES (1, 'a'), (2, 'b'), (3, 'c');
SELECT occ.enable('elsewhere');
SET enable_indexscan = off;
SET enable_bitmapscan = off;
SELECT * FROM occ.update('elsewhere', '[{"id": 3, "version": 1, "note": "new"}, {"id": 1, "version": 1, "note": "new"}]');
SELECT * FROM elsewhere ORDER BY id;
DROP TABLE elsewhere;
DROP ACCESS METHOD other CASCADE;
