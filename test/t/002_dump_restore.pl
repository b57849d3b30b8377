# Guarded tables of every kind survive pg_dump and restore: as a script, from an archive with parallel jobs, and as data
# only into a schema that was restored before.  Versions and options are what they were, and the guard is at work.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('dump');
$node->init;
$node->append_conf('postgresql.conf', 'fsync = off');
$node->start;
$ENV{PGHOST} = $node->host;
$ENV{PGPORT} = $node->port;

$node->safe_psql('postgres', 'CREATE DATABASE origin');
$node->safe_psql(
    'origin', q{
    SET client_min_messages = warning;
    CREATE EXTENSION occ_lock;

    CREATE TABLE plain (id int PRIMARY KEY, name text);
    INSERT INTO plain SELECT id, 'row ' || id FROM generate_series(1, 20) AS id;
    SELECT occ.enable('plain');

    CREATE SCHEMA "Odd ""Schema""";
    CREATE TABLE "Odd ""Schema"""."T,{}\\'s" ("I d" int, "a,b" text, "c""d" text, "Ver=Sion" int NOT NULL DEFAULT 7,
        UNIQUE ("I d", "a,b"));
    SELECT occ.enable('"Odd ""Schema"""."T,{}\\''s"', 'Ver=Sion', ignore => ARRAY['c"d'], key => ARRAY['I d', 'a,b']);
    INSERT INTO "Odd ""Schema"""."T,{}\\'s" VALUES (1, 'x', 'y'), (2, 'x', 'y');

    CREATE TABLE parts (id int, region text, version bigint NOT NULL DEFAULT 1, PRIMARY KEY (id, region))
        PARTITION BY LIST (region);
    CREATE TABLE parts_eu PARTITION OF parts FOR VALUES IN ('eu');
    CREATE TABLE parts_us (region text NOT NULL, version bigint NOT NULL DEFAULT 1, gone int, id int NOT NULL);
    ALTER TABLE parts_us DROP COLUMN gone;
    ALTER TABLE parts ATTACH PARTITION parts_us FOR VALUES IN ('us');
    SELECT occ.enable('parts', preset => 'strict');
    CREATE TABLE parts_other PARTITION OF parts DEFAULT;
    INSERT INTO parts VALUES (1, 'eu', 10), (2, 'us', 20), (3, 'xx', 30);

    CREATE TABLE parent (id int PRIMARY KEY, version bigint NOT NULL DEFAULT 1);
    CREATE TABLE child (extra text) INHERITS (parent);
    SELECT occ.enable('parent');
    INSERT INTO parent VALUES (1, 3);
    INSERT INTO child VALUES (2, 4, 'x');

    CREATE TABLE orm (a uuid, b numeric, version int, PRIMARY KEY (a, b));
    SELECT occ.enable('orm', preset => 'orm', unstated => 'bump');
    INSERT INTO orm VALUES ('00000000-0000-0000-0000-000000000001', 1.50, 0),
        ('00000000-0000-0000-0000-000000000002', 2, NULL);

    CREATE TABLE by_hand (id int PRIMARY KEY, views int, lock_version smallint NOT NULL DEFAULT 1);
    CREATE TRIGGER "my guard" BEFORE UPDATE ON by_hand FOR EACH ROW
        EXECUTE FUNCTION occ.guard('lock_version', 'token=next', 'ignore={views}');
    INSERT INTO by_hand VALUES (1, 0, 32767);

    CREATE TABLE times (id int PRIMARY KEY, updated_at timestamptz NOT NULL);
    SELECT occ.enable('times', 'updated_at', time_precision => 'ms');
    INSERT INTO times VALUES (1, '2024-05-06 07:08:09.123456+00'), (2, 'infinity');
    CREATE TABLE epochs (id int PRIMARY KEY, version double precision);
    SELECT occ.enable('epochs');
    INSERT INTO epochs VALUES (1, 1714979289.123456), (2, 'NaN');
    CREATE TABLE uuids (id int PRIMARY KEY, version uuid NOT NULL DEFAULT gen_random_uuid());
    SELECT occ.enable('uuids', enforce => 'warn');
    INSERT INTO uuids VALUES (1), (2);

    CREATE TABLE off (id int PRIMARY KEY, version bigint NOT NULL DEFAULT 1);
    SELECT occ.enable('off', preset => 'strict');
    ALTER TABLE off DISABLE TRIGGER _occ_guard;
    CREATE TABLE always (id int PRIMARY KEY, version bigint NOT NULL DEFAULT 1);
    SELECT occ.enable('always', token => 'next', echo => 'keep', unstated => 'warn');
    ALTER TABLE always ENABLE ALWAYS TRIGGER _occ_guard;
    INSERT INTO always VALUES (1, 9223372036854775807);

    UPDATE plain SET name = 'changed' WHERE id <= 10;
    UPDATE plain SET name = 'again' WHERE id <= 5;
});

my $by_name = 'ORDER BY table_name::text COLLATE "C"';
my @tables = split /\n/, $node->safe_psql('origin', "SELECT table_name FROM occ.tables $by_name");
is(scalar @tables, 12, 'the guarded tables of the original: parent and child are one each, partitions are none');

# All options and triggers, and all rows with their versions.
sub contents
{
    my ($database) = @_;

    return join "\n", map { $node->safe_psql($database, $_) } (
        "SELECT * FROM occ.tables $by_name",
        q{SELECT tgrelid::regclass, tgenabled, pg_get_triggerdef(oid) FROM pg_trigger
          WHERE tgfoid = 'occ.guard'::regproc ORDER BY tgrelid::regclass::text COLLATE "C"},
        map { qq{SELECT t.tableoid::regclass, t FROM $_ AS t ORDER BY t::text COLLATE "C"} } @tables);
}

# Restored tables refuse what the original ones refuse, and go on from the versions they had.
sub check_guard
{
    my ($database) = @_;

    foreach my $case (
        [ 'plain', 'PT409', q{UPDATE plain SET name = 'x', version = 2 WHERE id = 1} ],
        [ 'quoted names', 'PT409', q{UPDATE "Odd ""Schema"""."T,{}\\'s" SET "a,b" = 'z', "Ver=Sion" = 6} ],
        [ 'a partition', 'PT409', q{UPDATE parts SET version = 9 WHERE id = 1} ],
        [ 'an attached partition', 'PT409', q{UPDATE parts_us SET version = 19} ],
        [ 'a partition without a version', 'PT428', q{UPDATE parts SET region = 'eu' WHERE id = 3} ],
        [ 'an inheritance child', 'PT409', q{UPDATE parent SET version = 3 WHERE id = 2} ],
        [ 'a trigger by hand', 'PT409', q{UPDATE by_hand SET lock_version = 32767} ],
        [ 'a time', 'PT409', q{UPDATE times SET updated_at = '2024-05-06 07:08:09.122+00' WHERE id = 1} ],
        [ 'an epoch', 'PT409', q{UPDATE epochs SET version = 1714979289.123455 WHERE id = 1} ])
    {
        my ($name, $state, $statement) = @$case;
        my ($status, $stdout, $stderr) = $node->psql($database, "\\set VERBOSITY sqlstate\n$statement");
        is($stderr, "psql:<stdin>:2: ERROR:  $state", "$database: $name: a stale update is refused");
    }
    is( $node->safe_psql(
            $database, q{
            UPDATE plain SET name = 'x', version = 3 WHERE id = 1 RETURNING version;
            UPDATE parts SET region = 'us', version = 10 WHERE id = 1 RETURNING version;
            UPDATE times SET updated_at = '2024-05-06 07:08:09.123+00' WHERE id = 1 RETURNING updated_at > '2024-05-07';
            UPDATE by_hand SET lock_version = 1 RETURNING lock_version;
            UPDATE by_hand SET views = 1 RETURNING lock_version;
            UPDATE off SET version = 5;
            ALTER TABLE plain RENAME TO renamed;
            UPDATE renamed SET name = 'y' WHERE id = 1 RETURNING version}),
        "4\n11\nt\n1\n1\n5", "$database: a current one is not");

    # Whose the version column is was restored as well.
    my ($status, $stdout, $stderr) =
        $node->psql($database, "\\set VERBOSITY sqlstate\nSELECT occ.disable('parent', drop_column => true)");
    is($stderr, 'psql:<stdin>:2: ERROR:  55000', "$database: a column of the application's own is not dropped");
    is( $node->safe_psql($database, q{SELECT occ.disable('renamed', drop_column => true); SELECT * FROM renamed WHERE id = 1}),
        "\n1|y", "$database: one that occ.enable() has added is");
}

my $contents = contents('origin');
my $dumps = "$PostgreSQL::Test::Utils::tmp_check/dump";
like($contents, qr/token=next/, 'what is compared has the triggers in it');
like($contents, qr/\(1,again,3\)/, 'what is compared has the versions in it');

# As a script.
$node->safe_psql('postgres', 'CREATE DATABASE script');
command_ok([ 'pg_dump', '-f', "$dumps.sql", 'origin' ], 'pg_dump');
command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$dumps.sql", 'script' ], 'restore by psql');
is(contents('script'), $contents, 'script: nothing has changed');

# From an archive, with two jobs.
$node->safe_psql('postgres', 'CREATE DATABASE archive');
command_ok([ 'pg_dump', '-Fc', '-f', "$dumps.dump", 'origin' ], 'pg_dump -Fc');
command_ok([ 'pg_restore', '-j2', '-e', '-d', 'archive', "$dumps.dump" ], 'pg_restore -j2');
is(contents('archive'), $contents, 'archive: nothing has changed');

# The schema first, the data later: by COPY and by INSERT.
foreach my $format ('copy', 'inserts')
{
    my $database = "data by $format";
    my @option = $format eq 'inserts' ? ('--column-inserts') : ();
    $node->safe_psql('postgres', qq{CREATE DATABASE "$database"});
    command_ok([ 'pg_restore', '-s', '-e', '-d', $database, "$dumps.dump" ], 'pg_restore -s');
    command_ok([ 'pg_dump', '-a', @option, '-f', "$dumps.data.sql", 'origin' ], "pg_dump -a @option");
    command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', "$dumps.data.sql", $database ], 'restore the data');
    is(contents($database), $contents, "$database: nothing has changed");
    check_guard($database);
}

check_guard($_) foreach ('origin', 'script', 'archive');

$node->stop;
done_testing();
