-- Updates through views and of foreign tables.

CREATE TABLE product (id int PRIMARY KEY, name text, hidden boolean DEFAULT false, version bigint NOT NULL DEFAULT 5);
INSERT INTO product VALUES (1, 'one', false), (2, 'two', false), (3, 'three', true);
SELECT occ.enable('product');

-- Views: the table below is guarded, whatever the view calls its columns.
CREATE VIEW visible AS SELECT version AS v, name AS n, id AS i FROM product WHERE NOT hidden WITH CHECK OPTION;
UPDATE visible SET n = 'ONE', v = 5 WHERE i = 1 RETURNING *;
UPDATE visible SET n = 'stale', v = 5;
UPDATE visible SET n = 'blind' WHERE i = 2 RETURNING *;
CREATE VIEW without_version WITH (security_barrier) AS SELECT id, name FROM product;
UPDATE without_version SET name = 'blind' WHERE id = 2;
SELECT * FROM product ORDER BY id;
-- A rule, and an INSTEAD OF trigger, end in an UPDATE of the table as well.
CREATE VIEW ruled AS SELECT id, name, version FROM product;
CREATE RULE ruled AS ON UPDATE TO ruled DO INSTEAD UPDATE product SET name = NEW.name, version = NEW.version WHERE id = OLD.id;
UPDATE ruled SET name = 'by rule', version = 1 WHERE id = 1;
UPDATE ruled SET name = 'by rule' WHERE id = 1;
SELECT name, version FROM product WHERE id = 1;
CREATE VIEW triggered AS SELECT id, name, version FROM product;
CREATE FUNCTION instead() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE product SET name = NEW.name, version = NEW.version WHERE id = NEW.id;
    RETURN NEW;
END $$;
CREATE TRIGGER instead INSTEAD OF UPDATE ON triggered FOR EACH ROW EXECUTE FUNCTION instead();
UPDATE triggered SET name = 'by trigger', version = 1 WHERE id = 1;
UPDATE triggered SET name = 'by trigger' WHERE id = 1;
SELECT name, version FROM product WHERE id = 1;
DROP VIEW visible, without_version, ruled, triggered;
DROP FUNCTION instead;

-- Foreign tables: a guard on this side, with the key named, since foreign tables have no index.
CREATE EXTENSION postgres_fdw;
DO $$
BEGIN
    EXECUTE format('CREATE SERVER loopback FOREIGN DATA WRAPPER postgres_fdw OPTIONS (dbname %L, host %L, port %L)',
                   current_database(), split_part(current_setting('unix_socket_directories'), ',', 1), current_setting('port'));
END $$;
CREATE USER MAPPING FOR CURRENT_USER SERVER loopback;
CREATE TABLE local (id int PRIMARY KEY, note text, version bigint NOT NULL DEFAULT 5);
INSERT INTO local VALUES (1, 'one'), (2, 'two');
CREATE FOREIGN TABLE remote (id int, note text, version bigint) SERVER loopback OPTIONS (table_name 'local');
SELECT occ.enable('remote');
SELECT occ.enable('remote', 'none', key => '{id}');
SELECT occ.enable('remote', key => '{id}');
UPDATE remote SET note = 'new', version = 5 WHERE id = 1 RETURNING version;
UPDATE remote SET note = 'stale', version = 5;
UPDATE remote SET note = 'blind' RETURNING id, version;
SELECT * FROM local ORDER BY id;
-- A row that several source rows match is listed once, though it has no address here.
UPDATE remote SET version = 1 FROM generate_series(1, 3) WHERE id = 2;
-- NOT NULL is not enforced on foreign tables, but the guard minds it.
ALTER FOREIGN TABLE remote ALTER COLUMN version SET NOT NULL;
UPDATE remote SET version = NULL;
SELECT occ.disable('remote');

-- A foreign partition is guarded with the others, if it has the version column.
CREATE TABLE mixed (id int, note text) PARTITION BY RANGE (id);
CREATE TABLE mixed_local PARTITION OF mixed FOR VALUES FROM (10) TO (20);
CREATE FOREIGN TABLE mixed_remote PARTITION OF mixed FOR VALUES FROM (0) TO (10) SERVER loopback OPTIONS (table_name 'local');
SELECT occ.enable('mixed', key => '{id}');
SELECT count(*) FROM mixed;
ALTER TABLE mixed ADD COLUMN version bigint NOT NULL DEFAULT 5;
SELECT occ.enable('mixed', key => '{id}');
INSERT INTO mixed_local VALUES (11, 'eleven');
UPDATE mixed SET note = 'stale', version = 1;
DROP TABLE mixed;

-- Or on the other side, which is where it belongs: the error comes through with all that matters.
SELECT occ.enable('local');
\set VERBOSITY terse
UPDATE remote SET note = 'stale', version = 1 WHERE id = 1;
\set VERBOSITY default
DO $$
DECLARE
    detail text;
BEGIN
    UPDATE remote SET note = 'stale', version = 1;
EXCEPTION WHEN SQLSTATE 'PT409' THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RAISE NOTICE '%', detail;
END $$;
UPDATE remote SET note = 'fresh', version = version RETURNING id, version;
SELECT * FROM local ORDER BY id;
SET client_min_messages = warning;
DROP EXTENSION postgres_fdw CASCADE;
RESET client_min_messages;
DROP TABLE local, product;
