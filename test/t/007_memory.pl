# A million stale rows in one statement: the error counts them all, lists the first 1000, and takes no memory for the
# rest.  Many conflicts that one transaction catches leave nothing behind, and neither do a million updates of one session.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

plan skip_all => 'needs /proc' unless -r '/proc/self/status';

my $rows = 1_000_000;
my $bound = 64 * 1024;    # kB

my $node = PostgreSQL::Test::Cluster->new('memory');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nfull_page_writes = off\nmax_wal_size = 4GB\nautovacuum = off");
$node->start;
$node->safe_psql(
    'postgres', qq{
    CREATE EXTENSION occ_lock;
    CREATE UNLOGGED TABLE big (id int PRIMARY KEY, version bigint NOT NULL DEFAULT 1);
    INSERT INTO big SELECT generate_series(1, $rows);
    SELECT occ.enable('big');
});

my $session = $node->background_psql('postgres', on_error_stop => 0);
my $pid = $session->query_safe('SELECT pg_backend_pid()');

# The most virtual memory that the backend has had, in kB.  Shared memory is in it from the start, used or not.
sub peak
{
    my ($kilobytes) = slurp_file("/proc/$pid/status") =~ /^VmPeak:\s+(\d+) kB/m;
    return $kilobytes;
}

# Run SQL.  Returns its error, and how much the peak has grown.
sub growth
{
    my ($sql) = @_;
    my $before = peak();

    $session->{stderr} = '';
    $session->query($sql);
    return ($session->{stderr}, peak() - $before);
}

# The DETAIL of the conflict that every row's being stale makes.
my $conflict = q{
    DO $$
    DECLARE
        detail text;
    BEGIN
        UPDATE big SET version = 0;
        RAISE 'not refused';
    EXCEPTION WHEN SQLSTATE 'PT409' THEN
        GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
        PERFORM set_config('test.message', SQLERRM, false), set_config('test.detail', detail, false);
    END $$;};

my ($stderr, $growth) = growth(q{SELECT length(repeat('x', 200000000));});
cmp_ok($growth, '>', $bound, 'memory that is used is seen');
$session->reconnect_and_clear;
$pid = $session->query_safe('SELECT pg_backend_pid()');
growth(q{LOAD 'occ_lock';});

# By the trigger, as the rows that are refused below.
($stderr, $growth) = growth('SET occ_lock.inline = off; UPDATE big SET version = 1; RESET occ_lock.inline;');
is($stderr, '', "$rows rows with the current version: written");
cmp_ok($growth, '<', $bound, '... within bounds') or diag "$growth kB";
is($session->query('SELECT count(*) FROM big WHERE version = 2;'), $rows, '... and moved on');

# PostgreSQL takes some memory for a million rows whatever the trigger does, so this is only what a refusal takes more.
($stderr, $growth) = growth($conflict);
is($stderr, '', "$rows stale rows: refused");
cmp_ok($growth, '<', $bound / 8, '... with little more memory than the update took') or diag "$growth kB";
is($session->query('SHOW test.message;'),
    qq{optimistic lock conflict on $rows rows of "big"}, '... all of them counted');
is($session->query(q{SELECT current_setting('test.detail')::jsonb->>'conflicts';}), $rows, '... in the detail, too');
is($session->query(q{SELECT count(*), max((key->>'id')::int) FROM occ.conflicts(current_setting('test.detail'));}),
    '1000|1000', '... the first 1000 listed');
is($session->query(q{SELECT jsonb_array_length(current_setting('test.detail')::jsonb->'ids');}),
    '1000', '... and their ids');

($stderr, $growth) = growth("SET occ_lock.max_reported_rows = 100000; $conflict");
is($stderr, '', "$rows stale rows, as many listed as possible: refused");
cmp_ok($growth, '<', $bound, '... within bounds') or diag "$growth kB";
cmp_ok($session->query(q{SELECT count(*) FROM occ.conflicts(current_setting('test.detail'));}),
    '>', 10000, '... many of them listed');

($stderr, $growth) = growth(q{
    DO $$
    BEGIN
        FOR i IN 1 .. 10000 LOOP
            BEGIN
                UPDATE big SET version = 0 WHERE id BETWEEN i AND i + 9;
                RAISE 'not refused';
            EXCEPTION WHEN SQLSTATE 'PT409' THEN
                NULL;
            END;
        END LOOP;
    END $$;});
is($stderr, '', '10000 conflicts caught by one transaction');
cmp_ok($growth, '<', $bound, '... within bounds') or diag "$growth kB";

# A session of a pool lives for days.  Plans, guards and conflicts of its statements are gone when these end.
$node->safe_psql(
    'postgres', q{
    CREATE TABLE small (id int PRIMARY KEY, n int NOT NULL DEFAULT 0, version bigint NOT NULL DEFAULT 1) WITH (fillfactor = 50);
    INSERT INTO small SELECT generate_series(1, 1000);
    SELECT occ.enable('small');
    CREATE PROCEDURE work(updates int) LANGUAGE plpgsql AS $$
    DECLARE
        read bigint;
        key int;
    BEGIN
        FOR i IN 1 .. updates LOOP
            key := 1 + i % 1000;
            SELECT version INTO read FROM small WHERE id = key;
            IF i % 20 = 0 THEN
                PERFORM occ.update('small', jsonb_build_array(jsonb_build_object('id', key, 'n', i, 'version', read)));
            ELSE
                UPDATE small SET n = i, version = read WHERE id = key;
            END IF;
            IF i % 100 = 0 THEN
                BEGIN
                    UPDATE small SET n = -1, version = read WHERE id = key;
                    RAISE 'not refused';
                EXCEPTION WHEN SQLSTATE 'PT409' THEN
                    NULL;
                END;
                COMMIT;
            END IF;
        END LOOP;
    END $$;
});
($stderr) = growth('CALL work(20000)');
is($stderr, '', 'a session gets to work');
($stderr, $growth) = growth('CALL work(1000000)');
is($stderr, '', '... does a million updates, refused ones among them');
cmp_ok($growth, '<', 4 * 1024, '... and is no larger') or diag "$growth kB";
is($session->query('SELECT sum(version - 1) FROM small'), 1020000, '... each of which has moved a version');

$session->quit;
$node->stop;
done_testing();
