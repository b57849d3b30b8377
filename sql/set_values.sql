-- What jsonb_agg(to_jsonb(t)) gives goes back through every function as the same value.

CREATE EXTENSION citext;
CREATE TYPE colour AS ENUM ('red', 'green');
CREATE TYPE pair AS (a numeric, b text[]);
CREATE DOMAIN sku AS varchar(9) CHECK (VALUE ~ '^[a-z]');
CREATE DOMAIN code AS char(5);
CREATE DOMAIN flags AS bit(3);
CREATE TABLE every (
    id bigint PRIMARY KEY,
    s smallint, b boolean, r real, d double precision, n numeric, n2 numeric(40,10), t text, v varchar(30), c char(5),
    bin bytea, da date, ti time, tz timetz, ts timestamp, tstz timestamptz, iv interval, u uuid, ip inet, cd cidr, mac macaddr,
    bits bit(4), vbits bit varying, j json, jb jsonb, x text, ia int[], ta text[], tsr int4range, nr numrange, mr int4multirange,
    p point, col colour, cit citext, sk sku, co pair, coa pair[], o oid, rc regclass, na name, tq tsquery, tv tsvector, mo money, lsn pg_lsn,
    version double precision NOT NULL);
INSERT INTO every VALUES
    (9007199254740993, -32768, true, 0.1, 0.1::float8 + 0.2, 123456789012345678901234567890.123456789012345678901234567890,
     123456789012345678901234567890.1234567890, E'quote " apostrophe '' backslash \\ newline \n tab \t unicode é ☃ \u0001', 'ä', 'a',
     '\x00ff', '2026-02-28', '23:59:59.999999', '12:00:00.000001+05:30', '2026-01-01 00:00:00.123456', '2026-01-01 00:00:00.654321+00',
     '1 mon 2 days 03:04:05.678901', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '10.0.0.1/8', '10.0.0.0/8', '08:00:2b:01:02:03',
     '1010', '10101', '{"a" :  1, "a": 2}', '{"a": [1, 2.50, "x", null]}', '<a b="c">d &amp; e</a>', '{{1,NULL},{3,4}}', E'{"a,b","c \\"d\\"",NULL,""}',
     '[1,5)', '(1.5,)', '{[1,3),[5,7)}', '(1.5,-2)', 'green', 'CiText', 'abc', ROW(1.50, '{x,"y,z"}'), ARRAY[ROW(1, NULL)::pair, NULL],
     4294967295, 'pg_class', 'Name', 'a & b', 'a:1 b:2', 12.34, '16/B374D848', 1767225600.1234567),
    (2, NULL, NULL, 'NaN', '-Infinity', 'NaN', NULL, '', NULL, NULL, '', '-infinity', NULL, NULL, 'infinity', '-infinity', NULL, NULL, NULL, NULL, NULL,
     NULL, '', 'null', NULL, NULL, '{}', '{NULL}', 'empty', NULL, '{}', NULL, NULL, NULL, NULL, NULL, '{}', 0, NULL, '', NULL, '', NULL, NULL, 1e-300),
    (3, 0, false, 3.4028235e38, 5e-324, 0.00, 0, '007', ' ', '', '\x5c', '0044-03-15 BC', '24:00', NULL, '4713-01-01 00:00:00 BC', '294276-12-31 23:59:59.999999+00',
     '-178000000 years', NULL, '::1', NULL, NULL, NULL, NULL, '"text"', '"text"', NULL, '[0:1]={1,2}', NULL, NULL, NULL, NULL, NULL, NULL, '', NULL, ROW(NULL, NULL), NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, -0.1);
SELECT occ.enable('every');
CREATE TABLE before AS TABLE every;

-- All columns that changed by being written back as they were read, but for the version.
CREATE FUNCTION differences() RETURNS TABLE (id bigint, col text, was text, became text) LANGUAGE plpgsql AS $$
DECLARE
    c name;
BEGIN
    FOR c IN SELECT attname FROM pg_attribute WHERE attrelid = 'every'::regclass AND attnum > 0 AND attname <> 'version' ORDER BY attnum LOOP
        RETURN QUERY EXECUTE format('SELECT b.id, %L::text, b.%2$I::text, e.%2$I::text FROM before b JOIN every e USING (id) WHERE b.%2$I::text IS DISTINCT FROM e.%2$I::text ORDER BY 1', c, c);
    END LOOP;
END $$;
SELECT key, status FROM occ.update('every', (SELECT jsonb_agg(to_jsonb(every) ORDER BY id) FROM every));
SELECT * FROM differences();
-- The version that comes back goes in again, for every function.
SELECT key, status FROM occ.update('every', (SELECT jsonb_agg(u.key || jsonb_build_object('version', u.version, 't', b.t, 'n', b.n) ORDER BY b.id)
    FROM occ.touch('every', (SELECT jsonb_agg(to_jsonb(every)) FROM every)) AS u JOIN before AS b ON b.id = (u.key ->> 'id')::bigint));
SELECT key, status FROM occ.check('every', (SELECT jsonb_agg(to_jsonb(every) ORDER BY id) FROM every));
SELECT * FROM differences();
-- Each column as a lock field: as read, every value is equal to itself.
SELECT attname, (SELECT string_agg(status, ',') FROM occ.update_safely('every', (SELECT jsonb_agg(to_jsonb(every)) FROM every), '{"s":1}', ARRAY[attname]))
FROM pg_attribute
WHERE attrelid = 'every'::regclass AND attnum > 1 AND attname NOT IN ('j', 'x', 'p', 's', 'version') ORDER BY attnum;
-- Each column set from changes.
SELECT key, status FROM occ.update_safely('every', '{"id":9007199254740993}'::jsonb || (SELECT jsonb_build_object('version', version) FROM every WHERE id = 9007199254740993),
    (SELECT to_jsonb(before) - 'id' - 'version' FROM before WHERE id = 9007199254740993));
SELECT * FROM differences() WHERE id = 9007199254740993;
-- The version's own type: what is stored, whatever extra_float_digits, DateStyle and TimeZone say.
CREATE TABLE moved AS SELECT * FROM occ.touch('every', (SELECT jsonb_agg(to_jsonb(every)) FROM every));
SET extra_float_digits = 0;
SELECT status FROM occ.touch('every', (SELECT jsonb_agg(key || jsonb_build_object('version', version)) FROM occ.touch('every',
    (SELECT jsonb_agg(key || jsonb_build_object('version', version)) FROM moved))));
RESET extra_float_digits;
SELECT key, status FROM occ.delete('every', (SELECT jsonb_agg(to_jsonb(every) ORDER BY id) FROM every));
DROP TABLE every, before, moved;
DROP FUNCTION differences;

CREATE TABLE stamped (id int PRIMARY KEY, note text, at timestamptz NOT NULL DEFAULT '2026-01-01 12:00:00.123456Z');
INSERT INTO stamped VALUES (1), (2);
SELECT occ.enable('stamped', 'at');
SET DateStyle = 'German, DMY';
SET TimeZone = 'Asia/Kolkata';
SELECT version ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.?\d*\+05:30$' AS iso, status
FROM occ.update('stamped', (SELECT jsonb_agg(key || jsonb_build_object('at', version, 'note', 'again')) FROM occ.touch('stamped', (SELECT jsonb_agg(to_jsonb(stamped)) FROM stamped))));
RESET DateStyle;
RESET TimeZone;
DROP TABLE stamped;

-- Keys of every kind; the order in which they are locked and found to be the same is their index's.
CREATE COLLATION caseless (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE FUNCTION with_key(type text, one text, other text, also text) RETURNS TABLE (results text, duplicate text)
    LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TABLE k (id %s PRIMARY KEY, note text)', type);
    EXECUTE format('INSERT INTO k VALUES (%L), (%L)', one, other);
    SET LOCAL client_min_messages = error;
    PERFORM occ.enable('k');
    SELECT string_agg(u.key::text || ' ' || u.status, ', ') INTO results
    FROM occ.update('k', (SELECT jsonb_agg(to_jsonb(k) || '{"note":"new"}') FROM k)) AS u;
    SELECT results || ', ' || string_agg(u.key::text || ' ' || u.status, ', ') INTO results
    FROM occ.touch('k', jsonb_build_object('id', also, 'version', 2)) AS u;
    BEGIN
        PERFORM occ.check('k', jsonb_build_array(jsonb_build_object('id', one, 'version', 1), jsonb_build_object('id', also, 'version', 1)));
        duplicate := 'not noticed';
    EXCEPTION WHEN cardinality_violation THEN
        duplicate := SQLERRM;
    END;
    DROP TABLE k;
    RETURN NEXT;
END $$;
SELECT k.type, w.* FROM (VALUES
    ('smallint', '2', '10', '02'), ('bigint', '9007199254740993', '-1', '9007199254740993'), ('numeric', '1.50', '2', '1.5'),
    ('text', E'quote " and\nnewline', '', E'quote " and\nnewline'), ('varchar(5)', 'b', 'a', 'b'), ('char(4)', 'b', 'a', 'b  '), ('name', 'n', 'm', 'n'),
    ('text COLLATE caseless', 'Straße', 'b', 'STRAßE'), ('citext', 'Abc', 'b', 'aBC'), ('sku', 'abc', 'b', 'abc'), ('code', 'a1', 'a2', 'a1 '), ('flags', '101', '100', '101'), ('colour', 'green', 'red', 'green'),
    ('uuid', 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '00000000-0000-0000-0000-000000000000', '{A0EEBC999C0B4EF8BB6D6BB9BD380A11}'),
    ('date', '2026-01-02', '2026-01-01', '20260102'), ('timestamptz', '2026-01-01 00:00:00.123456+00', 'infinity', '2026-01-01 01:00:00.123456+01'),
    ('double precision', '0.1', 'NaN', '0.1'), ('boolean', 'true', 'false', 'yes'), ('bytea', '\x00ff', '\x', '\x00FF'), ('inet', '10.0.0.1', '::1', '10.0.0.1'),
    ('int4range', '[1,2]', 'empty', '[1,3)'), ('int[]', '{1,2}', '{}', '{1,2}'), ('pair', '(1,{x})', '(2,{y})', '(1.0,{x})'), ('interval', '1 day', '2 days', '24:00')) AS k (type, one, other, also),
    LATERAL with_key(k.type, k.one, k.other, k.also) AS w;
DROP FUNCTION with_key;
DROP COLLATION caseless;
DROP TYPE colour, pair;
DROP DOMAIN sku, code, flags;
DROP EXTENSION citext;
