# Many clients call the set functions for the same few rows, in any order, with and without skipping conflicts.  Rows
# are locked in the order of their keys, so there is no deadlock; and what the functions say that they wrote is exactly
# what the table shows.
#
# OCC_BATCH_SECONDS says for how long: 8 seconds unless it is set.

use strict;
use warnings FATAL => 'all';

use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = $ENV{OCC_BATCH_SECONDS} // 8;
my $clients = 16;
my $rows = 50;

my $node = PostgreSQL::Test::Cluster->new('batches');
$node->init;
$node->append_conf('postgresql.conf', "max_connections = 50\nfsync = off\ndeadlock_timeout = 10ms");
$node->start;
$node->safe_psql('postgres', 'CREATE EXTENSION occ_lock');

# Run scripts with pgbench, which spreads its transactions over them.  Returns how many were done, how many were refused
# as stale, how many deadlocks the clients and the server have seen, and the first other error.
sub pgbench
{
    my ($options, @scripts) = @_;
    my $offset = -s $node->logfile;
    my @files;

    foreach my $script (@scripts)
    {
        my $file = "$PostgreSQL::Test::Utils::tmp_check/script" . @files;
        unlink $file;
        append_to_file($file, $script);
        push @files, ('-f', $file);
    }
    # pgbench drops a client on any error but a serialization failure or a deadlock, so conflicts are to look like that.
    local $ENV{PGOPTIONS} = '-c occ_lock.conflict_sqlstate=40001 ' . ($ENV{PGOPTIONS} // '');
    my ($stdout, $stderr) = run_command(
        [
            'pgbench', '-n', '-h', $node->host, '-p', $node->port, '-c', $clients, '-j', 2, '--failures-detailed',
            @$options, @files, 'postgres'
        ]);
    my %count;
    ($count{done}) = $stdout =~ /^number of transactions actually processed: (\d+)/m;
    ($count{stale}) = $stdout =~ /^number of serialization failures: (\d+)/m;
    ($count{deadlocks}) = $stdout =~ /^number of deadlock failures: (\d+)/m;
    $count{logged} = () = slurp_file($node->logfile, $offset) =~ /deadlock detected/g;
    $count{error} = $stderr =~ /(.*aborted.*)/ ? $1 : '';

    die "pgbench: $stdout$stderr" if !defined $count{deadlocks};
    return %count;
}

# The counters, and a log of what clients were told, which nobody ever updates.
sub create_counter
{
    $node->safe_psql(
        'postgres', qq{
        SET client_min_messages = warning;
        DROP TABLE IF EXISTS counter, told;
        CREATE TABLE counter (id int PRIMARY KEY, value int NOT NULL DEFAULT 0, side int NOT NULL,
            version bigint NOT NULL DEFAULT 1);
        INSERT INTO counter (id, side) SELECT id, id % 2 FROM generate_series(1, $rows) AS id;
        CREATE TABLE told (caller text, id int, status text, version bigint);
        SELECT occ.enable('counter');
    });
}

# Reads some of the rows that match a condition, as JSON in any order.
sub read_batch
{
    my ($element, $condition) = @_;
    return "SELECT coalesce(jsonb_agg($element ORDER BY random()), '[]') AS batch "
      . "FROM (SELECT * FROM counter AS c WHERE $condition ORDER BY random() LIMIT :size) AS c";
}

my $version = q{jsonb_build_object('id', id, 'version', version)};
my $increment = q{jsonb_build_object('id', id, 'version', version, 'value', value + 1)};
my $everything = 'to_jsonb(c)';

# Who calls what, with which rows.  The rows of one side go over to the other, whatever their counter does meanwhile
# if the side is what is compared.
my @callers = (
    [ 'update', $increment, 'true', q{occ.update('counter', BATCH)} ],
    [ 'update, skip', $increment, 'true', q{occ.update('counter', BATCH, 'skip')} ],
    [ 'safely', $everything, 'side = :side', q{occ.update_safely('counter', BATCH, '{"side": OTHER}')} ],
    [
        'safely, skip', $everything, 'side = :side',
        q{occ.update_safely('counter', BATCH, '{"side": OTHER}', '{side}', 'skip')}
    ],
    [ 'touch', $version, 'true', q{occ.touch('counter', BATCH)} ],
    [ 'touch, skip', $version, 'true', q{occ.touch('counter', BATCH, on_conflict => 'skip')} ],
    [ 'check', $version, 'true', q{occ.check('counter', BATCH, lock => 'share')} ],
    [ 'check, update', $version, 'true', q{occ.check('counter', BATCH)} ]);

# The scripts that do that.  A pause between reading and writing makes sure that clients get in each other's way.
sub scripts
{
    my ($mode) = @_;
    my @scripts;

    foreach my $caller (@callers)
    {
        my ($name, $element, $condition, $call) = @$caller;
        my $read = read_batch($element, $condition);
        my $note = "INSERT INTO told SELECT '$name', (key->>'id')::int, status, version::bigint FROM done";

        # Without parameters, pgbench can't quote what it has read, so one statement must do all.
        $call =~ s/BATCH/$mode eq 'prepared' ? ':batch' : 'batch'/e;
        my $write =
          $mode eq 'prepared'
          ? "$read \\gset\n\\sleep 1 ms\nWITH done AS MATERIALIZED (SELECT * FROM $call) $note;\n"
          : "WITH read AS MATERIALIZED (SELECT batch, pg_sleep(0.001) FROM ($read) AS r), "
          . "done AS MATERIALIZED (SELECT done.* FROM read, $call AS done) $note;\n";

        # What is only checked stays as it is until the end of the transaction; if not, this divides by zero.
        $write = "BEGIN;\n$write\\sleep 1 ms\n"
          . 'SELECT 1 / (count(*) = 0)::int FROM jsonb_to_recordset(:batch) AS b (id int, version bigint) '
          . "JOIN counter AS c USING (id) WHERE c.version <> b.version;\nEND;\n"
          if $mode eq 'prepared' && $name =~ /^check/;
        foreach my $side (0, 1)
        {
            my $script = "\\set size random(5, 25)\n$write";
            my $other = 1 - $side;
            push @scripts, $script =~ s/:side/$side/gr =~ s/OTHER/$other/gr;
        }
    }
    return @scripts;
}

# No deadlock, every write that was acknowledged is in the table, and nothing else is.
sub check_counter
{
    my ($name, %count) = @_;

    is("$count{deadlocks} $count{logged}", '0 0', "$name: no deadlock, as clients and the server saw it");
    is($count{error}, '', '... nor any other error');
    cmp_ok($count{stale}, '>', 0, '... there were conflicts');
    is( $node->safe_psql('postgres', q{SELECT string_agg(DISTINCT caller || ': ' || status, '; ') FROM told}),
        'check, update: checked; check: checked; safely, skip: stale; safely, skip: updated; safely: updated; '
          . 'touch, skip: stale; touch, skip: updated; touch: updated; '
          . 'update, skip: stale; update, skip: updated; update: updated',
        '... everybody got through, and those who skip conflicts met some');
    is( $node->safe_psql(
            'postgres', q{
            SELECT string_agg(id || ' is at ' || value || ', written ' || written, '; ' ORDER BY id) FROM (
                SELECT c.id, value, count(t.id) AS written
                FROM counter AS c LEFT JOIN told AS t
                    ON t.id = c.id AND status = 'updated' AND caller LIKE 'update%'
                GROUP BY c.id HAVING value <> count(t.id)) AS r}),
        '', '... no increment was lost, none came from nowhere');
    is( $node->safe_psql(
            'postgres', q{
            SELECT string_agg(id || ' is at side ' || side || ', gone over ' || crossed, '; ' ORDER BY id) FROM (
                SELECT c.id, side, count(t.id) AS crossed
                FROM counter AS c LEFT JOIN told AS t
                    ON t.id = c.id AND status = 'updated' AND caller LIKE 'safely%'
                GROUP BY c.id HAVING side <> (c.id + count(t.id)) % 2) AS r}),
        '', '... nor was a change of sides');
    is( $node->safe_psql(
            'postgres', q{
            SELECT string_agg(id || ' is at ' || version || ', told ' || told::text, '; ' ORDER BY id) FROM (
                SELECT c.id, c.version, ARRAY(
                    SELECT t.version FROM told AS t WHERE t.id = c.id AND status = 'updated' ORDER BY 1) AS told
                FROM counter AS c) AS r
            WHERE told <> ARRAY(SELECT generate_series(2, version))}),
        '', '... each moved the version by one, and had one of its own');
}

# If nothing is lost here, the rest shows nothing.  Who compares first and writes then overwrites what came between.
create_counter();
$node->safe_psql('postgres', q{SELECT occ.disable('counter')});
my $writes = q{
    UPDATE counter SET value = b.value, version = counter.version + 1
    FROM jsonb_to_recordset(:batch) AS b (id int, value int)
    WHERE counter.id = b.id AND 0 = ALL (
        SELECT c.version - v.version FROM counter AS c JOIN jsonb_to_recordset(:batch) AS v (id int, version bigint)
        USING (id), pg_sleep(0.001))
    RETURNING 'naive', counter.id, 'updated'};
my %count = pgbench([ '-M', 'prepared', '-t', 30 ],
    "\\set size random(5, 25)\n" . read_batch($increment, 'true') . " \\gset\n"
      . "WITH done AS ($writes) INSERT INTO told SELECT * FROM done;\n");
cmp_ok($node->safe_psql('postgres', 'SELECT sum(value) FROM counter'),
    '<', $node->safe_psql('postgres', 'SELECT count(*) FROM told'), 'check, then write: updates are lost');

# Likewise, if there is no deadlock here.
%count = pgbench([ '-t', 10 ],
    'SELECT pg_sleep(0.0005) FROM (SELECT FROM counter WHERE random() < 0.3 ORDER BY random() FOR UPDATE) AS c;');
cmp_ok($count{deadlocks}, '>', 0, 'rows locked in any order: deadlocks, as clients saw it');
cmp_ok($count{logged}, '>', 0, '... and the server');

foreach my $run (
    [ 'prepared', 'READ COMMITTED', 0.5 ],
    [ 'simple', 'READ COMMITTED', 0.25 ],
    [ 'prepared', 'REPEATABLE READ', 0.25 ])
{
    my ($mode, $level, $share) = @$run;
    my $time = int($seconds * $share);

    local $ENV{PGOPTIONS} = '-c default_transaction_isolation=' . $level =~ s/ /\\ /r;
    create_counter();
    check_counter("$mode, $level",
        pgbench([ '-M', $mode, '-T', $time < 1 ? 1 : $time ], scripts($mode)));
}

$node->stop;
done_testing();
