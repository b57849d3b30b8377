-- What sqlsmith finds: every type of version, every preset, and what else can be about a table.
\set ON_ERROR_STOP on
CREATE EXTENSION occ_lock;
CREATE TABLE parent (id int PRIMARY KEY, name text, price numeric, tags text[], extra jsonb, made timestamptz DEFAULT now());
DO $$
DECLARE
    type text;
    preset text;
    name text;
BEGIN
    FOREACH type IN ARRAY '{smallint,integer,bigint,timestamp,timestamptz,double precision,uuid}'::text[] LOOP
        FOREACH preset IN ARRAY '{shared,strict,orm}'::text[] LOOP
            name := replace(format('t_%s_%s', type, preset), ' ', '_');
            EXECUTE format('CREATE TABLE %I (id int PRIMARY KEY, name text, price numeric, tags text[], extra jsonb, twice numeric GENERATED ALWAYS AS (price * 2) STORED,
                made timestamptz DEFAULT now(), parent int REFERENCES parent ON UPDATE CASCADE ON DELETE SET NULL)', name);
            -- Not every preset is for every type.
            BEGIN
                EXECUTE format('ALTER TABLE %I ADD version %s', name, type);
                PERFORM occ.enable(name, preset => preset);
            EXCEPTION WHEN invalid_parameter_value OR datatype_mismatch OR feature_not_supported THEN
                PERFORM occ.enable(name, version_column => 'stamp');
            END;
        END LOOP;
    END LOOP;
END $$;
CREATE TABLE parts (id int, part int, name text, PRIMARY KEY (id, part)) PARTITION BY LIST (part);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES IN (2);
CREATE TABLE child (extra_column int, PRIMARY KEY (id)) INHERITS (parent);
CREATE VIEW seen AS SELECT id, name, version FROM t_bigint_shared WHERE id > 2 WITH CHECK OPTION;
CREATE TABLE hidden (id int PRIMARY KEY, name text);
SELECT occ.enable(t) FROM unnest('{parts,parent,child,hidden}'::regclass[]) AS t;
ALTER TABLE hidden ENABLE ROW LEVEL SECURITY;
CREATE POLICY half ON hidden USING (id % 2 = 0);
CREATE ROLE smith LOGIN;
GRANT USAGE, CREATE ON SCHEMA public TO smith;
GRANT ALL ON ALL TABLES IN SCHEMA public TO smith;
INSERT INTO parent SELECT i, 'n' || i, i FROM generate_series(1, 20) AS i;
INSERT INTO parts SELECT i, 1 + i % 2, 'n' || i FROM generate_series(1, 20) AS i;
INSERT INTO hidden SELECT i, 'n' || i FROM generate_series(1, 20) AS i;
DO $$
DECLARE
    t text;
BEGIN
    FOR t IN SELECT relname FROM pg_class WHERE relname LIKE 't\_%' AND relkind = 'r' LOOP
        EXECUTE format('INSERT INTO %I (id, name, price, parent) SELECT i, ''n'' || i, i, i FROM generate_series(1, 20) AS i', t);
    END LOOP;
END $$;
