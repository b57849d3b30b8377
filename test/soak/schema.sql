-- What the soak's clients write.  Each write leaves a token, and who deletes a row puts it into "gone" first, so that nothing
-- that was ever acknowledged can vanish without a trace.  No trigger does that: batches take another way where there is one.
CREATE TABLE item (
    id int PRIMARY KEY,
    incarnation uuid NOT NULL DEFAULT gen_random_uuid(),
    tokens text[] NOT NULL DEFAULT '{}',
    version int NOT NULL DEFAULT 1
) :partitioning;
CREATE TABLE gone (id int, incarnation uuid PRIMARY KEY, tokens text[], version int);

\if :partitioned
CREATE TABLE item_0 PARTITION OF item FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE item_1 PARTITION OF item FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE item_2 PARTITION OF item FOR VALUES WITH (MODULUS 3, REMAINDER 2);
\endif

SELECT occ.enable('item');
INSERT INTO item (id) SELECT generate_series(1, 8);
