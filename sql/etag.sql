-- occ.etag(), and occ.etag_matches().

CREATE TABLE product (id int PRIMARY KEY, name text, price numeric, made interval, sold timestamptz);
SELECT occ.enable('product');
INSERT INTO product VALUES (1, 'teapot', 10.0, '1 day 2 hours', '2026-01-02 03:04:05.678901+00'), (2, 'cup', 4, NULL, NULL);

-- A tag of the version, in quotes.
SELECT id, occ.etag(p), occ.etag(p.*) AS again FROM product AS p ORDER BY id;
UPDATE product AS p SET price = 12, version = 1 WHERE id = 1 RETURNING occ.etag(p);
SELECT occ.etag(p) FROM (VALUES (1), (7)) AS v (id) LEFT JOIN product AS p USING (id) ORDER BY id;
SELECT occ.etag(NULL::product);

-- The same of every type that holds a version, whatever the session likes to see; and it reads back.
CREATE TABLE smallints (id int PRIMARY KEY, version smallint);
CREATE TABLE bigints (id int PRIMARY KEY, version bigint);
CREATE TABLE instants (id int PRIMARY KEY, version timestamptz);
CREATE TABLE times (id int PRIMARY KEY, version timestamp);
CREATE TABLE epochs (id int PRIMARY KEY, version double precision);
CREATE TABLE uuids (id int PRIMARY KEY, version uuid);
SELECT occ.enable(t::regclass) FROM unnest('{smallints,bigints,instants,times,epochs,uuids}'::text[]) AS t;
INSERT INTO smallints VALUES (1, 32767), (2, NULL);
INSERT INTO bigints VALUES (1, 9223372036854775807), (2, -5);
INSERT INTO instants VALUES (1, '2026-01-02 03:04:05.678901+00'), (2, 'infinity'), (3, '0044-03-15 12:00+00 BC');
INSERT INTO times VALUES (1, '2026-01-02 03:04:05.6'), (2, '-infinity');
INSERT INTO epochs VALUES (1, 1714979289.123456), (2, 'NaN'), (3, 1e300);
INSERT INTO uuids VALUES (1, '00000000-0000-4000-8000-000000000001');
CREATE VIEW tags AS
    SELECT 'smallint' AS type, id, occ.etag(t), version::text FROM smallints AS t
    UNION ALL SELECT 'bigint', id, occ.etag(t), version::text FROM bigints AS t
    UNION ALL SELECT 'timestamptz', id, occ.etag(t), version::text FROM instants AS t
    UNION ALL SELECT 'timestamp', id, occ.etag(t), version::text FROM times AS t
    UNION ALL SELECT 'double precision', id, occ.etag(t), version::text FROM epochs AS t
    UNION ALL SELECT 'uuid', id, occ.etag(t), version::text FROM uuids AS t;
CREATE TABLE seen AS SELECT type, id, etag FROM tags;
SELECT type, id, etag FROM seen ORDER BY type, id;
SET TimeZone = 'Asia/Kolkata';
SET DateStyle = 'German';
SET extra_float_digits = -10;
SELECT type, id, etag FROM tags EXCEPT SELECT type, id, etag FROM seen;
SELECT DISTINCT occ.etag_matches(etag, etag) AS is_a_tag FROM tags;
SELECT version = btrim(occ.etag(t), '"')::timestamptz AS reads_back FROM instants AS t;
SELECT status FROM occ.update('instants', (SELECT jsonb_build_object('id', id, 'version', btrim(occ.etag(t), '"')) FROM instants AS t WHERE id = 1));
SELECT version = btrim(occ.etag(t), '"')::double precision AS reads_back FROM epochs AS t WHERE id = 1;
RESET TimeZone;
RESET DateStyle;
RESET extra_float_digits;

-- Of columns: another one if a value changes, the same in every session.
SELECT id, occ.etag(p, '{name,price}') FROM product AS p ORDER BY id;
SELECT occ.etag(r, '{a}') FROM (VALUES ('x')) AS r (a);
CREATE TYPE pair AS (a int, b date);
CREATE TABLE kinds AS SELECT
    true AS a, 'c'::"char" AS b, 1::int2 AS c, 1.50::numeric AS d, '{"b":1, "a":2}'::jsonb AS e, '{"b":1}'::json AS f,
    1.1::real AS g, 1e-7::double precision AS h, '\x00ff'::bytea AS i, '2026-01-02'::date AS j, '03:04:05+02'::timetz AS k,
    '2026-01-02 03:04:05.678901+00'::timestamptz AS l, '1 day 2 hours'::interval AS m, 12.34::money AS n,
    '[2026-01-02 03:04:05+00,)'::tstzrange AS o, '{1.1,2.2}'::float8[] AS p, ROW(1, '2026-01-02'::date)::pair AS q,
    'pg_class'::regclass AS r, 'product'::regclass AS s, NULL::int AS t, 'ä '::char(3) AS u;
CREATE VIEW kind_tags AS
    SELECT a.attname, occ.etag(kind, ARRAY[a.attname]) FROM kinds AS kind, pg_attribute AS a
    WHERE a.attrelid = 'kinds'::regclass AND a.attnum > 0;
CREATE TABLE kinds_seen AS SELECT * FROM kind_tags;
SELECT count(DISTINCT etag) FROM kinds_seen;
SET TimeZone = 'Asia/Kolkata';
SET DateStyle = 'German';
SET IntervalStyle = 'sql_standard';
SET extra_float_digits = -10;
SET bytea_output = 'escape';
SET search_path = pg_catalog;
SET quote_all_identifiers = on;
SET client_encoding = 'LATIN1';
SELECT * FROM public.kind_tags EXCEPT SELECT * FROM public.kinds_seen;
SELECT current_setting('TimeZone'), current_setting('IntervalStyle'), current_setting('search_path');
RESET ALL;
-- A change of scale is one of the representation.
SELECT occ.etag(r, '{a}') = occ.etag(s, '{a}') AS same FROM (VALUES (1.0)) AS r (a), (VALUES (1.00)) AS s (a);
SELECT occ.etag(r, '{a}') = occ.etag(s, '{a}') AS same FROM (VALUES (NULL::text)) AS r (a), (VALUES ('')) AS s (a);
SELECT occ.etag(r, '{a,b}') = occ.etag(s, '{a,b}') AS same FROM (VALUES ('x', 'yz')) AS r (a, b), (VALUES ('xy', 'z')) AS s (a, b);
-- Toasted or not.
CREATE TABLE large (id int, a text);
INSERT INTO large SELECT 1, string_agg(md5(i::text), '') FROM generate_series(1, 3000) AS i;
ALTER TABLE large ALTER a SET STORAGE EXTERNAL;
INSERT INTO large SELECT 2, a || '' FROM large;
SELECT count(DISTINCT occ.etag(l, '{a}')) FROM large AS l;

-- Partitions have their partitioned table's; other rows need a list.
CREATE TABLE parts (id int PRIMARY KEY, version bigint NOT NULL DEFAULT 1) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (1) TO (10);
SELECT occ.enable('parts');
INSERT INTO parts VALUES (1);
SELECT occ.etag(a), occ.etag(b) FROM parts AS a JOIN parts_1 AS b USING (id);
CREATE VIEW cheap AS SELECT id, price, version FROM product;
SELECT occ.etag(c) FROM cheap AS c;
SELECT occ.etag(c, '{version}') = occ.etag(p, '{version}') AS same FROM cheap AS c JOIN product AS p USING (id) WHERE id = 1;
SELECT occ.etag(r) FROM (VALUES (1)) AS r (version);
SELECT occ.etag(ROW(1, 2));
SELECT occ.etag(kind) FROM kinds AS kind;
-- A column that came or went.
ALTER TABLE product DROP COLUMN made, ADD COLUMN colour text DEFAULT 'white';
SELECT occ.etag(p), occ.etag(p, '{colour}') = occ.etag(r, '{colour}') AS same FROM product AS p, (VALUES ('white')) AS r (colour) WHERE id = 1;
ALTER TABLE product RENAME version TO revision;
SELECT occ.etag(p) FROM product AS p;
ALTER TABLE product RENAME revision TO version;

-- Lists that are none.
SELECT occ.etag(p, '{}') FROM product AS p;
SELECT occ.etag(p, '{price,NULL}') FROM product AS p;
SELECT occ.etag(p, '{price,made}') FROM product AS p;
SELECT occ.etag(p, '{{price},{name}}') FROM product AS p;

-- occ.etag_matches(): If-Match by default, If-None-Match with weak.
SELECT header, occ.etag_matches('"2"', header) AS if_match, occ.etag_matches('"2"', header, weak => true) AS if_none_match
FROM unnest(ARRAY['"2"', '"1"', '"1", "2" ,"3"', 'W/"2"', '*', ' * ', '', ',', '"12"']) AS header;
SELECT occ.etag_matches(NULL, '*') AS nothing_there, occ.etag_matches(NULL, '"1"') AS nor_that, occ.etag_matches('"1"', NULL) AS no_header,
    occ.etag_matches('W/"1"', 'W/"1"') AS weak_tag, occ.etag_matches('"1"', '"1"', NULL) AS strong;
SELECT occ.etag_matches('"1"', '1');
SELECT occ.etag_matches('"1"', '"1", *');
SELECT occ.etag_matches('"1"', 'w/"1"');
SELECT occ.etag_matches('"1"', '"1');
SELECT occ.etag_matches(NULL, '1');
SELECT occ.etag_matches('1', '"1"');
SELECT occ.etag_matches('"1", "2"', '"1"');

-- Compare and set in one statement: the row is compared as it is when it is locked.
UPDATE product AS p SET price = 13 WHERE id = 1 AND occ.etag_matches(occ.etag(p), '"2"') RETURNING occ.etag(p);
UPDATE product AS p SET price = 14 WHERE id = 1 AND occ.etag_matches(occ.etag(p), '"2"') RETURNING occ.etag(p);

-- Everybody may; no right is needed for a row that one has.
CREATE ROLE reader;
GRANT SELECT ON product TO reader;
SET ROLE reader;
SELECT occ.etag(p) FROM product AS p WHERE id = 1;
RESET ROLE;
REVOKE ALL ON product FROM reader;
DROP ROLE reader;

-- In a plan that runs in parallel.
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
CREATE TABLE many (id int, at timestamptz);
INSERT INTO many SELECT i, '2026-01-01'::timestamptz + i * interval '1 s' FROM generate_series(1, 10000) AS i;
ANALYZE many;
SET TimeZone = 'Asia/Kolkata';
SELECT count(DISTINCT occ.etag(m, '{at}')) FROM many AS m;
RESET ALL;

DROP VIEW cheap, tags, kind_tags;
DROP TABLE product, smallints, bigints, instants, times, epochs, uuids, seen, kinds, kinds_seen, large, parts, many;
DROP TYPE pair;
