-- What the soak's clients write.  Each write leaves a token, and who deletes a row puts it into "gone" first, so that nothing
-- that was ever acknowledged can vanish without a trace.  No trigger does that: batches take another way where there is one.
CREATE TABLE item (
    zone int NOT NULL DEFAULT 7,
    id int NOT NULL,
    incarnation uuid NOT NULL DEFAULT gen_random_uuid(),
    tokens text[] NOT NULL DEFAULT '{}',
    version :version_type NOT NULL,
    note text,
    PRIMARY KEY (:key)
) :partitioning;
\if :has_zone
CREATE UNIQUE INDEX ON item (id);
\endif
CREATE TABLE gone (zone int, id int, incarnation uuid PRIMARY KEY, tokens text[], version :version_type, note text);

\if :partitioned
CREATE TABLE item_0 PARTITION OF item FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE item_1 PARTITION OF item FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE item_2 PARTITION OF item FOR VALUES WITH (MODULUS 3, REMAINDER 2);
\endif

CREATE FUNCTION save_item(int, text[], :version_type) RETURNS TABLE (incarnation uuid, version :version_type) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY UPDATE item SET tokens = $2, version = $3 WHERE id = $1 RETURNING incarnation, version;
END $$;

CREATE FUNCTION save_item_or_tell(int, text[], :version_type, OUT incarnation uuid, OUT version :version_type, OUT detail text) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    UPDATE item SET tokens = $2, version = $3 WHERE id = $1 RETURNING incarnation, version INTO incarnation, version;
EXCEPTION WHEN SQLSTATE 'PT409' THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
END $$;

SELECT occ.enable('item', preset => :'preset');
INSERT INTO item (id, version) SELECT id, :first_version FROM generate_series(1, 8) AS id;
