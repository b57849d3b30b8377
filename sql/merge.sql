-- occ.merge(): two changes of one row.

CREATE FUNCTION merge(mine jsonb, theirs jsonb, base jsonb DEFAULT '{"id":1,"name":"cup","price":4,"version":3}')
    RETURNS TABLE (merged jsonb, conflicts text[]) LANGUAGE sql AS 'SELECT * FROM occ.merge(base, mine, theirs)';

-- Nobody, one of the two, both.
SELECT * FROM merge('{"id":1,"name":"cup","price":4,"version":3}', '{"id":1,"name":"cup","price":4,"version":3}');
SELECT * FROM merge('{"id":1,"name":"mug","price":4,"version":3}', '{"id":1,"name":"cup","price":4,"version":3}');
SELECT * FROM merge('{"id":1,"name":"cup","price":4,"version":3}', '{"id":1,"name":"cup","price":5,"version":4}');
SELECT * FROM merge('{"id":1,"name":"mug","price":4,"version":3}', '{"id":1,"name":"cup","price":5,"version":4}');
-- The same change, with another scale; different ones: theirs stays.
SELECT * FROM merge('{"id":1,"name":"mug","price":5.0,"version":3}', '{"id":1,"name":"mug","price":5,"version":4}');
SELECT * FROM merge('{"id":1,"name":"mug","price":6,"version":3}', '{"id":1,"name":"jug","price":5,"version":4}');
-- Changed and back again.
SELECT * FROM merge('{"id":1,"name":"cup","price":6,"version":3}', '{"id":1,"name":"cup","price":4,"version":5}');

-- A row that lacks a column has not changed it.
SELECT * FROM merge('{"price":6}', '{"id":1,"name":"jug","price":4,"version":4}');
SELECT * FROM merge('{}', '{"id":1,"name":"jug","price":4,"version":4}');
SELECT * FROM merge('{"name":"mug"}', '{"price":5}');
SELECT * FROM merge('{"colour":"red"}', '{"size":7}');
SELECT * FROM merge('{"colour":"red"}', '{"colour":"blue"}');
SELECT * FROM merge('{"colour":"red"}', '{"colour":"red"}');
SELECT * FROM merge('{}', '{}', '{}');

-- JSON null is a value.
SELECT * FROM merge('{"name":null}', '{"name":"cup"}');
SELECT * FROM merge('{"name":null}', '{"name":null}');
SELECT * FROM merge('{"name":null}', '{"name":"jug"}');
SELECT * FROM merge('{"colour":null}', '{}');
SELECT * FROM merge('{"colour":null}', '{"colour":"red"}');

-- A column is compared as a whole, whatever is in it.
SELECT * FROM merge('{"a":{"x":2,"y":1}}', '{"a":{"x":1,"y":2}}', '{"a":{"x":1,"y":1}}');
SELECT * FROM merge('{"a":{"y":1,"x":1.0}}', '{"a":[1,{"b":[]}]}', '{"a":{"x":1,"y":1}}');
SELECT * FROM merge('{"a":[1,2],"b":true}', '{"a":[1],"b":false}', '{"a":[1],"b":"true"}');
SELECT * FROM merge('{"a":"1"}', '{"a":1}', '{"a":1}');
SELECT * FROM merge('{"a":[]}', '{"a":{}}', '{"a":null}');
-- Names of any kind and length.
SELECT conflicts, length(conflicts[3]) FROM merge(jsonb_build_object('', 1, 'a"b,{}', 1, repeat('x', 100), 1), jsonb_build_object('', 2, 'a"b,{}', 2, repeat('x', 100), 2), '{}');

-- Null in, null out.
SELECT merged IS NULL AND conflicts IS NULL AS nothing FROM occ.merge('{}', NULL, '{}');

-- Rows, one of each.
SELECT * FROM occ.merge('[]', '{}', '{}');
SELECT * FROM occ.merge('{}', '[{}]', '{}');
SELECT * FROM occ.merge('{}', '{}', 'null');
SELECT * FROM occ.merge('1', '{}', '{}');
SELECT * FROM occ.merge('{}', '"{}"', '{}');

-- What comes out can be saved, if nothing conflicts: it has their version.
CREATE TABLE product (id int PRIMARY KEY, name text, price numeric);
SELECT occ.enable('product');
INSERT INTO product VALUES (1, 'cup', 4);
CREATE TABLE base AS SELECT to_jsonb(product) AS row FROM product;
UPDATE product SET price = 5;
SELECT m.merged, m.conflicts FROM base, product AS p, occ.merge(base.row, base.row || '{"name":"mug"}', to_jsonb(p)) AS m;
SELECT * FROM occ.update('product', (SELECT m.merged FROM base, product AS p, occ.merge(base.row, base.row || '{"name":"mug"}', to_jsonb(p)) AS m));
SELECT * FROM product;

-- Against what it should be, for all combinations of three values in two columns, one of them perhaps not there.
WITH v(row) AS (
    SELECT jsonb_strip_nulls(jsonb_build_object('a', a, 'b', b)) FROM unnest('{1,2,3}'::int[]) AS a, unnest('{1,2,3,NULL}'::int[]) AS b
), cases AS (
    SELECT b.row AS base, m.row AS mine, t.row AS theirs FROM v AS b, v AS m, v AS t
), columns AS (
    SELECT c.*, k, base -> k AS b, coalesce(mine -> k, base -> k) AS m, coalesce(theirs -> k, base -> k) AS t
    FROM cases AS c, unnest('{a,b}'::text[]) AS k
), wanted AS (
    SELECT base, mine, theirs,
        jsonb_object_agg(k, CASE WHEN m IS DISTINCT FROM b AND t IS NOT DISTINCT FROM b THEN m ELSE t END)
            FILTER (WHERE b IS NOT NULL OR m IS NOT NULL OR t IS NOT NULL) AS merged,
        coalesce(array_agg(k ORDER BY k) FILTER (
            WHERE m IS DISTINCT FROM b AND t IS DISTINCT FROM b AND m IS DISTINCT FROM t), '{}') AS conflicts
    FROM columns GROUP BY base, mine, theirs
)
SELECT count(*) AS cases, count(*) FILTER (WHERE g.merged = w.merged AND g.conflicts = w.conflicts) AS as_wanted
FROM wanted AS w, occ.merge(base, mine, theirs) AS g;

DROP TABLE product, base;
DROP FUNCTION merge;

-- With the relation, values are compared by the types of its columns, however they are spelled.
CREATE EXTENSION citext;
CREATE DOMAIN small AS int CHECK (value < 100);
CREATE DOMAIN needed AS text NOT NULL;
CREATE TYPE pair AS (a int, b text);
CREATE TABLE things (id bigint PRIMARY KEY, name text, nick citext, code char(5), price numeric(12, 2), rate numeric, weight float8, flag boolean, made timestamptz,
    plain timestamp, day date, span interval, tags text[], amounts numeric(6, 2)[], doc jsonb, raw bytea, pair pair, few small, must needed, period int4range,
    twice int GENERATED ALWAYS AS (few * 2) STORED, own int GENERATED ALWAYS AS IDENTITY, version bigint NOT NULL DEFAULT 1);
SELECT occ.enable('things');

-- One column: base, mine, theirs.
CREATE FUNCTION merged(name text, base jsonb, mine jsonb, theirs jsonb) RETURNS text LANGUAGE sql AS $$
    SELECT concat(o.merged -> name, ' {', array_to_string(o.conflicts, ','), '} ', t.merged -> name, ' {', array_to_string(t.conflicts, ','), '}')
    FROM occ.merge(jsonb_build_object(name, base), jsonb_build_object(name, mine), jsonb_build_object(name, theirs)) AS o,
         occ.merge(jsonb_build_object(name, base), jsonb_build_object(name, mine), jsonb_build_object(name, theirs), relation => 'things') AS t
$$;
-- The value that it shall become; the same value as it was read, spelled as a driver has it; as to_jsonb() has it.
CREATE TABLE spellings (name text, mine jsonb, base jsonb, theirs jsonb);
INSERT INTO spellings VALUES
    ('id', '"9007199254740995"', '"9007199254740993"', '9007199254740993'),
    ('version', '"4"', '"3"', '3'),
    ('price', '"12.00"', '"10.00"', '10.00'),
    ('price', '12', '10.0', '"10"'),
    ('price', '12', '1e1', '"10.001"'),
    ('rate', '"10.1"', '"10.0"', '10'),
    ('weight', '"0.2"', '"0.1"', '0.1'),
    ('weight', '1.5', '"NaN"', '"nan"'),
    ('flag', 'false', '"t"', 'true'),
    ('code', '"b"', '"a"', '"a    "'),
    ('made', '"2026-02-01"', '"2026-01-01T00:00:00.000Z"', '"2026-01-01T01:00:00+01:00"'),
    ('plain', '"2026-02-01"', '"2026-01-01 00:00:00"', '"2026-01-01T00:00:00"'),
    ('day', '"2026-02-01"', '"2026-01-01T00:00:00Z"', '"2026-01-01"'),
    ('span', '"2 hours"', '"1 hour"', '"01:00:00"'),
    ('tags', '["a"]', '"{a,b}"', '["a", "b"]'),
    ('amounts', '[1]', '"{1.5,NULL}"', '[1.50, null]'),
    ('raw', '"x"', '"A"', '"\\x41"'),
    ('pair', '{"a": 2}', '"(1,x)"', '{"a": 1, "b": "x"}'),
    ('few', '5', '"4"', '4'),
    ('period', '"[1,4)"', '"[1,2]"', '"[1,3)"'),
    ('doc', '{"a": 2}', '{"a": 1.0, "b": []}', '{"b": [], "a": 1}');
SET timezone = 'UTC';
-- Only mine has changed it; both have changed it to the same; both have, to something else; only theirs has.
SELECT name, merged(name, base, mine, theirs) AS mine, merged(name, mine, base, theirs) AS both, merged(name, base, mine, to_jsonb('0'::text)) AS other,
    merged(name, base, theirs, mine) AS theirs
FROM spellings WHERE name IN ('id', 'version', 'price', 'rate', 'weight', 'few') ORDER BY name, base::text COLLATE "C";
SELECT name, merged(name, base, mine, theirs) AS mine, merged(name, mine, base, theirs) AS both, merged(name, base, theirs, mine) AS theirs
FROM spellings WHERE name NOT IN ('id', 'version', 'price', 'rate', 'weight', 'few') ORDER BY name, base::text COLLATE "C";
-- It is never a conflict where it is none without.
SELECT name, o.conflicts, t.conflicts FROM spellings,
    unnest(ARRAY[base, mine, theirs]) AS a(b), unnest(ARRAY[base, mine, theirs]) AS b(m), unnest(ARRAY[base, mine, theirs]) AS c(t),
    occ.merge(jsonb_build_object(name, b), jsonb_build_object(name, m), jsonb_build_object(name, t)) AS o,
    occ.merge(jsonb_build_object(name, b), jsonb_build_object(name, m), jsonb_build_object(name, t), 'things') AS t
WHERE o.conflicts = '{}' AND t.conflicts <> '{}';

-- What a type calls equal is not the same: the change would be lost.
SELECT merged('nick', '"cup"', '"Cup"', '"cup"'), merged('span', '"1 day"', '"24 hours"', '"1 day"'), merged('weight', '"0"', '"-0"', '0');
SELECT merged('name', '"1.0"', '"1"', '"1.0"'), merged('name', '"a "', '"a"', '"a "');
-- Nulls: of SQL, in columns of JSON, too.
SELECT merged('price', 'null', '"1"', 'null'), merged('price', '"1"', 'null', '1.00'), merged('doc', 'null', '1', 'null'), merged('price', '"1"', '"2"', 'null');
-- What the table computes is as the row has it.
SELECT * FROM occ.merge('{"few": 1, "twice": 2, "own": 1}', '{"few": 5, "twice": 10, "own": 7}', '{"few": 1, "twice": 2, "own": 1}', 'things');
SELECT * FROM occ.merge('{"few": 1, "twice": 2}', '{"few": 5, "twice": 10}', '{"few": 3, "twice": 6}', 'things');
-- A row that lacks a column has not changed it.
SELECT * FROM occ.merge('{"price": "10.00", "name": "cup"}', '{"price": "12.00"}', '{"id": 1, "version": 4}', 'things');
SELECT * FROM occ.merge('{}', '{"price": "12.00"}', '{"price": 12.0}', 'things');
SELECT * FROM occ.merge('{}', '{}', '{}', 'things');

-- What comes out can be saved: as a driver has read it, changed by somebody else meanwhile.
INSERT INTO things (id, name, price, made, tags, few, must) VALUES (9007199254740993, 'cup', 10, '2026-01-01', '{a,b}', 1, 'x');
UPDATE things SET name = 'mug' RETURNING version;
SELECT m.conflicts, s.status, s.version
FROM things AS p, occ.merge(
    base => '{"id": "9007199254740993", "name": "cup", "price": "10.00", "made": "2026-01-01T00:00:00.000Z", "tags": "{a,b}", "few": "1", "twice": "2", "version": "1"}',
    mine => '{"id": "9007199254740993", "name": "cup", "price": "12.50", "made": "2026-01-02T00:00:00.000Z", "tags": "{a,b}", "few": "4", "twice": "8", "version": "1"}',
    theirs => to_jsonb(p), relation => 'things') AS m, occ.update('things', m.merged) AS s;
SELECT id, name, price, made, tags, few, twice, own, version FROM things;

-- What can't be read, or is nowhere.
SELECT * FROM occ.merge('{"colour": 1}', '{}', '{}', 'things');
SELECT * FROM occ.merge('{}', '{"ctid": "(0,1)"}', '{}', 'things');
SELECT * FROM occ.merge('{}', '{}', '{"PRICE": 1, "": 2}', 'things');
SELECT * FROM occ.merge('{"id": "one"}', '{}', '{}', 'things');
SELECT * FROM occ.merge('{"id": 1}', '{"id": 1.5}', '{"id": 1}', 'things');
SELECT * FROM occ.merge('{}', '{}', '{"few": 100}', 'things');
SELECT * FROM occ.merge('{}', '{"must": null}', '{}', 'things');
SELECT * FROM occ.merge('{}', '{"price": 12345678901}', '{}', 'things');
SELECT * FROM occ.merge('{}', '{"pair": [1]}', '{}', 'things');
SELECT * FROM occ.merge('[]', '{}', '{}', 'things');
SELECT * FROM occ.merge('{}', '{}', '{}', 'nowhere');
SELECT * FROM occ.merge('{}', '{}', '{}', 4294967295::regclass);
SELECT * FROM occ.merge('{}', '{}', '{}', 'things_pkey');
SELECT * FROM occ.merge('{}', '{}', '{}', 'pair');
-- Null in, null out.
SELECT merged IS NULL AND conflicts IS NULL AS nothing FROM occ.merge('{}', '{}', '{}', NULL);

-- Views have types as well; rights are not asked for, since nothing is read, and no lock is kept.
CREATE VIEW cheap AS SELECT id, price AS cost FROM things;
SELECT * FROM occ.merge('{"cost": "10.00"}', '{"cost": "12.00"}', '{"cost": 10.0}', 'cheap');
SELECT * FROM occ.merge('{"price": "10.00"}', '{}', '{}', 'cheap');
CREATE ROLE occ_nobody;
SET ROLE occ_nobody;
BEGIN;
SELECT conflicts FROM occ.merge('{"price": "10.00"}', '{"price": "12.00"}', '{"price": 10.0}', 'things');
SELECT count(*) FROM pg_locks WHERE relation = 'things'::regclass;
COMMIT;
RESET ROLE;
DROP ROLE occ_nobody;

-- Partitions and children have columns of other numbers; a column that was dropped is none.
CREATE TABLE whole (id int, gone int, price numeric(6, 2), PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE part (price numeric(6, 2), id int NOT NULL);
ALTER TABLE whole DROP COLUMN gone;
ALTER TABLE whole ATTACH PARTITION part DEFAULT;
SELECT conflicts FROM occ.merge('{"price": "10.00"}', '{"price": "12.00"}', '{"price": 10}', 'whole');
SELECT conflicts FROM occ.merge('{"price": "10.00"}', '{"price": "12.00"}', '{"price": 10}', 'part');
SELECT conflicts FROM occ.merge('{"gone": "10.00"}', '{"price": "12.00"}', '{"price": 10}', 'whole');

-- A constraint that alters the table while its values are read.
CREATE TABLE moving (id int, n int);
CREATE FUNCTION alters(int) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN
    IF $1 IS NOT NULL THEN
        ALTER TABLE moving ALTER COLUMN n TYPE text;
    END IF;
    RETURN true;
END$$;
CREATE DOMAIN restless AS int CHECK (alters(value));
ALTER TABLE moving ADD COLUMN r restless;
SELECT * FROM occ.merge('{"n": 1, "r": 1}', '{"n": "2", "r": 1}', '{"n": "1"}', 'moving');

-- What occ.snapshot() says beside the columns goes with their values: with the types known and without.
CREATE EXTENSION hstore;
CREATE TABLE marked (id int PRIMARY KEY, j json, b jsonb, h hstore, m money, name text, version int NOT NULL DEFAULT 1);
INSERT INTO marked (id, j, b, h, m, name) VALUES (1, '{"a" : 1}', 'null', 'a=>1', 12.5, 'cup');
SELECT occ.enable('marked');
CREATE TABLE was AS SELECT occ.snapshot(marked) AS r FROM marked;
SELECT r FROM was;
CREATE FUNCTION saved(mine jsonb, theirs jsonb) RETURNS TABLE (conflicts text, same text, marks text, saved text) LANGUAGE plpgsql AS $$
DECLARE
    untyped record;
    typed record;
    id int;
BEGIN
    SELECT * INTO untyped FROM was, occ.merge(was.r, mine, theirs);
    SELECT * INTO typed FROM was, occ.merge(was.r, mine, theirs, 'marked');
    BEGIN
        PERFORM occ.update('marked', typed.merged || jsonb_build_object('version', k.version)) FROM marked AS k;
        SELECT string_agg(COALESCE(k.v, 'NULL'), ' ') INTO saved FROM marked, LATERAL (VALUES (j::text), (b::text), (h::text), (m::text), (name)) AS k (v);
        RAISE SQLSTATE 'XXABC'; -- so that each begins with the same row
    EXCEPTION WHEN SQLSTATE 'XXABC' THEN
    END;
    conflicts := typed.conflicts;
    same := CASE WHEN untyped IS NOT DISTINCT FROM typed THEN 'same' ELSE untyped::text END;
    marks := typed.merged -> '';
    RETURN NEXT;
END $$;
SELECT s.* FROM was, saved(r, r) AS s;
-- Each changes another column that has a mark.
SELECT s.* FROM was, saved(r || '{"b": 5, "name": "mug"}', jsonb_set(r || '{"j": {"x": 2}}', '{"",j}', '"{\"x\" : 2}"')) AS s;
-- One has changed what the mark of the other, or his own from before, is about.
SELECT s.* FROM was, saved(r || '{"j": {"a": 2}, "h": "b=>2", "m": "$7.00"}', r) AS s;
SELECT s.* FROM was, saved(r, r || '{"j": null, "b": 1, "h": "b=>2", "": {"h": true, "m": "$12.50"}}') AS s;
SELECT s.* FROM was, saved(r || '{"j": {"a": 2}}', r || '{"j": {"a": 2}, "": {"b": "null", "h": true, "m": "$12.50"}}') AS s;
SELECT s.* FROM was, saved(r || '{"j": {"a": 2}}', r || '{"j": {"a": 3}, "": {"b": "null", "h": true, "m": "$12.50"}}') AS s;
-- NULL of SQL and that of JSON are two; a mark may be all that has changed.
SELECT s.* FROM was, saved(r || '{"": {"j": "{\"a\" : 1}", "h": true, "m": "$12.50"}}', r) AS s;
SELECT s.* FROM was, saved(r, r || '{"": {"j": "{\"a\" : 1}", "h": true, "m": "$12.50"}}') AS s;
SELECT s.* FROM was, saved(r || '{"": {"j": "{\"a\"  : 1}", "b": "null", "h": true, "m": "$12.50"}}', jsonb_set(r, '{"",j}', '"{\"a\"   : 1}"')) AS s;
-- Changes only, and rows that know no marks.
SELECT s.* FROM was, saved('{"id": 1, "name": "mug"}', r) AS s;
SELECT s.* FROM was, saved((r || '{"name": "mug"}') - '' - 'b', r) AS s;
SELECT s.* FROM was, saved(r || '{"name": "mug"}', (r || '{"h": "b=>2"}') - '' - 'b') AS s;
-- An edit that the type can't be read from, and what to_jsonb() made of it.
SELECT s.* FROM was, saved(r || '{"h": {"a": "2"}}', r) AS s;
-- What is no object of marks is a column, if there is one.
SELECT * FROM occ.merge('{"": 1, "a": 1}', '{"": 1}', '{"": 2}');
SELECT * FROM occ.merge('{"": {}, "a": 1}', '{"": {"b": true}, "a": 2}', '{"": {"a": true}}');
DROP FUNCTION saved;
DROP TABLE was, marked;
DROP EXTENSION hstore;

DROP VIEW cheap;
DROP TABLE things, spellings, whole, moving;
DROP FUNCTION merged;
DROP DOMAIN small, needed, restless;
DROP FUNCTION alters;
DROP TYPE pair;
DROP EXTENSION citext;
RESET timezone;
