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
