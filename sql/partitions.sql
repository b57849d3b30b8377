-- Partitioned tables: one guard for all partitions, and errors that name the root.

CREATE TABLE stock (
    region text,
    id int,
    quantity int,
    version bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (region, id)
) PARTITION BY LIST (region);
CREATE TABLE stock_eu PARTITION OF stock FOR VALUES IN ('eu');
-- A partition with its columns in another order, and with dropped ones.
CREATE TABLE stock_us (gone1 text, version bigint NOT NULL DEFAULT 1, quantity int, gone2 int, id int NOT NULL, region text NOT NULL, PRIMARY KEY (region, id));
ALTER TABLE stock_us DROP COLUMN gone1, DROP COLUMN gone2;
ALTER TABLE stock ATTACH PARTITION stock_us FOR VALUES IN ('us');
-- A partition that is partitioned itself.
CREATE TABLE stock_asia PARTITION OF stock FOR VALUES IN ('jp', 'kr') PARTITION BY RANGE (id);
CREATE TABLE stock_asia_low PARTITION OF stock_asia FOR VALUES FROM (0) TO (100);
CREATE TABLE stock_asia_high PARTITION OF stock_asia FOR VALUES FROM (100) TO (MAXVALUE);
INSERT INTO stock VALUES ('eu', 1, 5), ('eu', 2, 5), ('us', 1, 5), ('jp', 1, 5), ('kr', 100, 5);

SELECT occ.enable('stock');
SELECT table_name, key_columns FROM occ.tables;
SELECT tgrelid::regclass FROM pg_trigger WHERE tgname = '_occ_guard' ORDER BY tgrelid::regclass::text COLLATE "C";

-- Through the root: versions move everywhere, stale rows of all partitions are in one error.
UPDATE stock SET quantity = 4, version = 1 RETURNING region, id, version;
UPDATE stock SET quantity = 3, version = 1;
UPDATE stock SET quantity = 3 WHERE region IN ('eu', 'kr') RETURNING region, id, version;
UPDATE stock SET quantity = 2, version = 2;
-- Directly: the root is still what the error names.
UPDATE stock_us SET quantity = 1, version = 1;
UPDATE stock_asia SET quantity = 1, version = 2;
UPDATE stock_asia_high SET quantity = 1, version = 2;
UPDATE stock_us SET quantity = 1, version = 2 RETURNING version;

-- A row that moves to another partition keeps its new version, and is checked before it moves.
UPDATE stock SET region = 'us', version = 1 WHERE region = 'eu' AND id = 2;
UPDATE stock SET region = 'us', version = 3 WHERE region = 'eu' AND id = 2 RETURNING tableoid::regclass, *;
UPDATE stock SET id = 200 WHERE region = 'jp' RETURNING tableoid::regclass, *;
UPDATE stock_asia SET id = 5, version = 3 WHERE region = 'jp' RETURNING tableoid::regclass, *;
SELECT tableoid::regclass, * FROM stock ORDER BY region, id;

-- A partition created or attached later is guarded as well.
CREATE TABLE stock_za PARTITION OF stock FOR VALUES IN ('za');
CREATE TABLE stock_br (LIKE stock INCLUDING ALL);
ALTER TABLE stock ATTACH PARTITION stock_br FOR VALUES IN ('br');
INSERT INTO stock VALUES ('za', 1, 1, 7), ('br', 1, 1, 7);
UPDATE stock SET quantity = 0, version = 6 WHERE region IN ('za', 'br');
-- A detached one is not any more.
ALTER TABLE stock DETACH PARTITION stock_br;
UPDATE stock_br SET version = 6 RETURNING version;
-- Nor can a table with a guard of its own be attached, until it is disabled.
SELECT occ.enable('stock_br', preset => 'strict');
ALTER TABLE stock ATTACH PARTITION stock_br FOR VALUES IN ('br');
SELECT occ.disable('stock_br');
ALTER TABLE stock ATTACH PARTITION stock_br FOR VALUES IN ('br');
UPDATE stock_br SET version = 5;

-- A partition's own guard, the other way round.
SELECT occ.enable('stock_br');
SELECT occ.disable('stock_br');
SELECT occ.disable('stock');
SELECT occ.enable('stock_br');
SELECT occ.enable('stock');
SELECT occ.disable('stock_br');

-- Options can be changed for all partitions at once; a single one can be disabled by its owner.
SELECT occ.enable('stock');
SELECT occ.enable('stock', preset => 'strict');
UPDATE stock SET quantity = 0;
ALTER TABLE stock_za DISABLE TRIGGER _occ_guard;
UPDATE stock_za SET quantity = 0 RETURNING version;
UPDATE stock SET quantity = 0 WHERE region = 'us';
SELECT enabled FROM occ.tables;
SELECT occ.enable('stock', preset => 'strict');
SELECT enabled FROM occ.tables;
UPDATE stock_za SET quantity = 0;
DROP TABLE stock;

-- A stated NULL is refused where the column is NOT NULL, even if the row moves to where it is not.
CREATE TABLE mixed (id int PRIMARY KEY, version int DEFAULT 1) PARTITION BY RANGE (id);
CREATE TABLE mixed_strict (id int NOT NULL, version int NOT NULL DEFAULT 1);
ALTER TABLE mixed ATTACH PARTITION mixed_strict FOR VALUES FROM (0) TO (10);
CREATE TABLE mixed_lax PARTITION OF mixed FOR VALUES FROM (10) TO (20);
SELECT occ.enable('mixed');
INSERT INTO mixed VALUES (1, 5);
UPDATE mixed SET id = 11, version = NULL;
UPDATE mixed SET id = 11, version = 5 RETURNING tableoid::regclass, version;
UPDATE mixed SET version = NULL;
DROP TABLE mixed;

-- The version column is added to all partitions at once, under the partition's own column numbers.
CREATE TABLE log (id int, day date, note text, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
CREATE TABLE log_old (note text, gone int, day date NOT NULL, id int NOT NULL);
ALTER TABLE log_old DROP COLUMN gone;
ALTER TABLE log ATTACH PARTITION log_old FOR VALUES FROM ('2000-01-01') TO ('2026-01-01');
CREATE TABLE log_new PARTITION OF log DEFAULT;
INSERT INTO log VALUES (1, '2020-01-01', 'old'), (2, '2026-06-01', 'new');
SELECT occ.enable('log', ignore => '{note}');
UPDATE log SET note = 'ignored' RETURNING version;
UPDATE log SET id = id + 10 RETURNING tableoid::regclass, *;
UPDATE log SET note = 'stale', version = 1;
SELECT occ.disable('log', drop_column => true);
\d log_old
-- ON CONFLICT and MERGE go through the root's tuple routing.
SELECT occ.enable('log');
INSERT INTO log (id, day, version) VALUES (11, '2020-01-01', 9), (12, '2026-06-01', 9), (13, '2026-06-01', 9)
ON CONFLICT (id, day) DO UPDATE SET version = excluded.version;
INSERT INTO log (id, day, note) VALUES (11, '2020-01-01', 'upserted')
ON CONFLICT (id, day) DO UPDATE SET note = excluded.note, version = 1 RETURNING tableoid::regclass, version;
DROP TABLE log;
