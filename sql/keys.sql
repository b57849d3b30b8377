-- Keys of every kind name the stale rows, as JSON that JavaScript reads without rounding.

CREATE EXTENSION citext;
CREATE DOMAIN sku AS text CHECK (value ~ '^[A-Z]');
CREATE DOMAIN positive AS int CHECK (value > 0);
CREATE TYPE colour AS ENUM ('red', 'deep "blue"');

-- Make a table with that key, write a stale version, show the ids and the keys.
CREATE FUNCTION ids(columns text, key_columns text, key_values text) RETURNS TABLE (ids jsonb, key jsonb)
LANGUAGE plpgsql AS $$
DECLARE
    detail text;
BEGIN
    EXECUTE format('CREATE TABLE keyed (%s, version bigint DEFAULT 2, PRIMARY KEY (%s))', columns, key_columns);
    EXECUTE format('INSERT INTO keyed (%s) VALUES %s', key_columns, key_values);
    PERFORM occ.enable('keyed');
    BEGIN
        UPDATE keyed SET version = 1;
    EXCEPTION WHEN SQLSTATE 'PT409' THEN
        GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    END;
    DROP TABLE keyed;
    RETURN QUERY SELECT detail::jsonb -> 'ids', c.key FROM occ.conflicts(detail) AS c;
END $$;

SELECT * FROM ids('id smallint', 'id', '(1), (-7)');
SELECT * FROM ids('id bigint', 'id', '(9007199254740992), (9007199254740993), (-9007199254740993), (9223372036854775807)');
SELECT * FROM ids('id text', 'id', $$('plain'), (''), ('quote " backslash \ slash /'), (E'line\nbreak\ttab'), ('snow ☃'), ('null')$$);
SELECT * FROM ids('id varchar(3)', 'id', $$('abc')$$);
SELECT * FROM ids('id char(5)', 'id', $$('abc')$$);
SELECT * FROM ids('id citext', 'id', $$('MiXed')$$);
SELECT * FROM ids('id uuid', 'id', $$('a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11')$$);
SELECT * FROM ids('id numeric', 'id', $$(1.50), (123456789012345), (1234567890123456), (0.1234567890123456789), ('NaN'), ('infinity')$$);
SELECT * FROM ids('id sku', 'id', $$('A-1')$$);
SELECT * FROM ids('id positive', 'id', '(42)');
SELECT * FROM ids('id boolean', 'id', '(true), (false)');
SELECT * FROM ids('id colour', 'id', $$('deep "blue"')$$);
SELECT * FROM ids('id date', 'id', $$('2026-02-28'), ('infinity')$$);
SELECT * FROM ids('id timestamp', 'id', $$('2026-02-28 12:34:56.789012')$$);
SELECT * FROM ids('id float8', 'id', $$(0.1), ('1e20'), ('-infinity'), ('NaN')$$);
SELECT * FROM ids('id float4', 'id', $$(0.1)$$);
SET extra_float_digits = -3;
SELECT * FROM ids('id float8', 'id', $$(0.12345678901234567)$$);
RESET extra_float_digits;
SELECT * FROM ids('id bytea', 'id', $$('\x00ff')$$);
SELECT * FROM ids('id int[]', 'id', $$('{1,2}')$$);
SELECT * FROM ids('id jsonb', 'id', $$('{"a": "b"}')$$);
SELECT * FROM ids('id oid', 'id', '(4294967295)');
-- Composite keys are arrays, in the order of the key.
SELECT * FROM ids('a int, b text', 'b, a', $$('x', 1), ('y', 2)$$);
SELECT * FROM ids('"odd ""name" int, "Größe" sku', '"odd ""name", "Größe"', $$(1, 'XL')$$);

-- Without a primary key: the replica identity, else a unique index over NOT NULL columns.
CREATE TABLE u (a int NOT NULL UNIQUE, b int NOT NULL, c int UNIQUE, d int NOT NULL, version int DEFAULT 2);
CREATE UNIQUE INDEX u_partial ON u (d) WHERE d > 0;
CREATE UNIQUE INDEX u_expression ON u ((d + 1));
CREATE UNIQUE INDEX u_b ON u (b) INCLUDE (d);
INSERT INTO u VALUES (1, 10, 100, 1000);
SELECT occ.enable('u');
SELECT key_columns FROM occ.tables;
UPDATE u SET version = 1;
ALTER TABLE u REPLICA IDENTITY USING INDEX u_b;
UPDATE u SET version = 1;
ALTER TABLE u ADD PRIMARY KEY (d);
UPDATE u SET version = 1;
-- The key may be named; it must be unique.
SELECT occ.enable('u', key => '{c}');
SELECT key_columns FROM occ.tables;
UPDATE u SET version = 1;
SELECT occ.enable('u', key => '{a,b}');
SELECT occ.enable('u', key => '{d}');
SELECT occ.enable('u', key => '{a,a}');
SELECT occ.enable('u', key => '{version}');
SELECT occ.enable('u', key => '{none}');
DROP TABLE u;

-- A table without any key can be guarded by hand; its rows have no names then.
CREATE TABLE k (a int, version int DEFAULT 2);
INSERT INTO k VALUES (1), (2);
SELECT occ.enable('k');
CREATE TRIGGER _occ_guard BEFORE UPDATE ON k FOR EACH ROW EXECUTE FUNCTION occ.guard('version');
UPDATE k SET version = 1;
DROP TABLE k;

-- A key of nullable columns, a key that the statement itself changes.
CREATE TABLE n (a int UNIQUE, b text, version int DEFAULT 2);
INSERT INTO n VALUES (NULL, 'null'), (1, 'one');
SELECT occ.enable('n');
SELECT occ.enable('n', key => '{a}');
UPDATE n SET version = 1;
UPDATE n SET a = 5, version = 1 WHERE a = 1;
UPDATE n SET a = 5, version = 2 WHERE a = 1 RETURNING *;
DROP TABLE n;
DROP FUNCTION ids;
DROP DOMAIN sku, positive;
DROP TYPE colour;
DROP EXTENSION citext;
