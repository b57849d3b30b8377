# Many clients read a value, compute, and write it back, all on the same few rows.  With the guard, what pgbench counts
# as done is exactly what the table shows, at every isolation level and for every kind of version; without it, updates
# get lost.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $clients = 8;
my $each = 50;
my $rows = 2;

my $node = PostgreSQL::Test::Cluster->new('concurrency');
$node->init;
$node->append_conf('postgresql.conf', "max_connections = 50\nfsync = off\ndeadlock_timeout = 10ms");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION occ_lock');

# Run scripts with pgbench, which spreads its transactions over them.  Returns the numbers of transactions that
# succeeded and that failed.
sub pgbench
{
    my ($options, @scripts) = @_;
    my @files;

    foreach my $script (@scripts)
    {
        my $file = "$PostgreSQL::Test::Utils::tmp_check/script" . @files;
        unlink $file;
        append_to_file($file, $script);
        push @files, ('-f', $file);
    }
    # pgbench drops a client on any error but a serialization failure or a deadlock, so conflicts are to look like that.
    local $ENV{PGOPTIONS} = '-c occ_lock.conflict_sqlstate=40001';
    my ($stdout, $stderr) = run_command(
        [
            'pgbench', '-n', '-h', $node->host, '-p', $node->port, '-c', $clients, '-j', 2, '-t', $each,
            @$options, @files, 'postgres'
        ]);
    my ($done) = $stdout =~ /^number of transactions actually processed: (\d+)/m;
    my ($failed) = $stdout =~ /^number of failed transactions: (\d+)/m;

    die "pgbench: $stdout$stderr" if !defined $failed || $stderr =~ /aborted/;
    return ($done, $failed);
}

# A table of counters, and one that gets every version that they ever have.
sub create_counter
{
    my ($columns, $enable, $partitions) = @_;

    $node->safe_psql(
        'postgres', qq{
        SET client_min_messages = warning;
        DROP TABLE IF EXISTS counter, history;
        DROP FUNCTION IF EXISTS note;
        CREATE TABLE counter (id int PRIMARY KEY, value int NOT NULL DEFAULT 0, $columns)
            @{[ $partitions ? 'PARTITION BY HASH (id)' : '' ]};
        @{[ $partitions // '' ]}
        $enable;
        INSERT INTO counter (id) SELECT generate_series(1, $rows);
        CREATE TABLE history AS SELECT id, version FROM counter;
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS \$\$
        BEGIN
            INSERT INTO history VALUES (NEW.id, NEW.version);
            RETURN NULL;
        END \$\$;
        CREATE TRIGGER note AFTER UPDATE ON counter FOR EACH ROW EXECUTE FUNCTION note();
    });
}

# Every success and nothing else is in the table, and no version came twice.
sub check_counter
{
    my ($name, $done, $failed, %option) = @_;
    my $updates = $done * ($option{rows_each} // 1);

    cmp_ok($failed, '>', 0, "$name: there were conflicts");
    is($done + $failed, $clients * $each, "$name: every transaction succeeded or failed");
    is($node->safe_psql('postgres', 'SELECT sum(value) FROM counter'), $updates, "$name: no update was lost");
    is($node->safe_psql('postgres', 'SELECT sum(version - 1) FROM counter'),
        $updates, "$name: each moved the version by one")
      unless $option{no_counter};
    is($node->safe_psql('postgres', 'SELECT count(DISTINCT (id, version)) FROM history'),
        $updates + $rows, "$name: each made a version of its own");
}

# The pause makes sure that clients get in each other's way.
my $read = q{
    \set id random(1, } . $rows . q{)
    SELECT value, version FROM counter WHERE id = :id \gset
    \sleep 1 ms
};
my $write = "UPDATE counter SET value = :value + 1, version = :version WHERE id = :id;\n";
my $read_write = $read . $write;
my $integer = 'version bigint NOT NULL DEFAULT 1';
my $enable = q{SELECT occ.enable('counter')};

# If no update is lost here, the rest shows nothing.
create_counter($integer, '');
my ($done, $failed) = pgbench([], $read . "UPDATE counter SET value = :value + 1 WHERE id = :id;\n");
is($failed, 0, 'without the guard: nobody is told');
cmp_ok($node->safe_psql('postgres', 'SELECT sum(value) FROM counter'),
    '<', $done, 'without the guard: updates are lost');

foreach my $variant (
    [ 'bigint', $integer ],
    [ 'smallint', 'version smallint NOT NULL DEFAULT 1' ],
    [ 'strict', $integer, q{SELECT occ.enable('counter', preset => 'strict')} ],
    [
        'partitions', $integer, $enable,
        'CREATE TABLE counter0 PARTITION OF counter FOR VALUES WITH (MODULUS 2, REMAINDER 0);
         CREATE TABLE counter1 PARTITION OF counter FOR VALUES WITH (MODULUS 2, REMAINDER 1);'
    ])
{
    my ($name, $columns, $guard, $partitions) = @$variant;
    create_counter($columns, $guard // $enable, $partitions);
    check_counter($name, pgbench([], $read_write));
}

# Prepared statements also bring the times and the uuid back as they came.  With a unit of 0.1 s, times run ahead of the
# clock here, because each update must advance.
foreach my $type ('bigint', 'timestamptz', 'timestamptz(1)', 'timestamp', 'double precision', 'uuid')
{
    my $default =
        $type eq 'bigint' ? '1'
      : $type eq 'uuid' ? 'gen_random_uuid()'
      : $type eq 'double precision' ? 'extract(epoch FROM now())'
      : 'now()';
    create_counter("version $type NOT NULL DEFAULT $default", $enable);
    check_counter("$type, prepared", pgbench([ '-M', 'prepared' ], $read_write), no_counter => $type ne 'bigint');
}

foreach my $level ('READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE')
{
    create_counter($integer, $enable);
    check_counter($level, pgbench([], "BEGIN ISOLATION LEVEL $level;\n$read_write END;\n"));
}

create_counter($integer, $enable);
check_counter(
    'upsert',
    pgbench(
        [],
        $read . 'INSERT INTO counter VALUES (:id, :value + 1, :version) '
          . "ON CONFLICT (id) DO UPDATE SET value = EXCLUDED.value, version = EXCLUDED.version;\n"));

# Read, computed and written by one statement, several rows at a time; there may be deadlocks as well.
create_counter($integer, $enable);
check_counter(
    'several rows',
    pgbench(
        [],
        'WITH read AS MATERIALIZED (SELECT *, pg_sleep(0.001) FROM counter) '
          . 'UPDATE counter SET value = read.value + 1, version = read.version FROM read '
          . "WHERE read.id = counter.id;\n"),
    rows_each => $rows);

# Others add to the newest value and state no version.
create_counter($integer, $enable);
check_counter(
    'beside updates that state no version',
    pgbench([], $read_write, "\\set id random(1, $rows)\nUPDATE counter SET value = value + 1 WHERE id = :id;\n"));

# With retries everybody gets through in the end.
create_counter($integer, $enable);
($done, $failed) = pgbench([ '--max-tries', 10000 ], $read_write);
is($failed, 0, 'with retries: nobody fails');
is($node->safe_psql('postgres', 'SELECT sum(value), sum(version - 1) FROM counter'),
    join('|', ($clients * $each) x 2), 'with retries: every increment arrives');

$node->stop;
done_testing();
