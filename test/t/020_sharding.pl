# A table that is sharded over two servers, by PostgreSQL's own partitioning and postgres_fdw: set up by the commands of
# docs/operations/sharding.md, and as it says.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Cwd;
use File::Basename;
use IO::Socket::UNIX;

# Sockets want a short path.
my $directory = PostgreSQL::Test::Utils::tempdir_short();
my $page = slurp_file(Cwd::abs_path(dirname(__FILE__)) . '/../../docs/operations/sharding.md');
my %port = (coordinator => 6000, shard0 => 6001, shard1 => 6002);

sub stop_servers { system "pg_ctl -s -D $directory/$_ -m immediate stop >/dev/null 2>&1" for keys %port }
END { my $status = $?; stop_servers(); $? = $status }

if (!-e `pg_config --sharedir` =~ s/\n//r . '/extension/postgres_fdw.control')
{
    plan skip_all => 'needs postgres_fdw';
}

# The page's blocks, in its order: shell commands, and SQL for the coordinator, with what that prints.
delete @ENV{qw(PGHOST PGPORT PGDATABASE PGUSER)};
sub page_runs
{
    my ($language, $block, $printed) = @_;
    # As root nobody could run the servers, but then this is not the first thing to fail.
    unlink "$directory/block";
    append_to_file("$directory/block", $language eq 'sh' ? "set -e\ncd $directory\n$block" : $block);
    my $command = $language eq 'sh' ? "bash $directory/block" : "psql -X -q -h $directory -p $port{coordinator} -U postgres <$directory/block";
    my $out = `exec 2>&1; $command`;
    my $first = ($block =~ /^(.{0,60})/)[0];
    if (defined $printed) { is($out =~ s/^psql:[^ ]*: |\s+$//mgr, $printed =~ s/\s+$//mgr, "the page: $first ... prints what it says") }
    else { unlike($out, qr/error|fatal/i, "the page: $first ...") or BAIL_OUT($out) }
}
my @blocks;
push @blocks, [ $1, $2, $3 ] while $page =~ /^```(sh|sql)\n(.*?)^```\n(?:```text\n(.*?)^```\n)?/msg;
my ($stop) = grep { $_->[1] =~ /pg_ctl.* stop/ } @blocks;
page_runs(@$_) for grep { $_ != $stop } @blocks;

# What psql prints, with SQLSTATEs.
sub on
{
    my ($server, $sql, $user) = @_;
    my ($out, $err) = run_command(
        [ 'psql', '-XqAt', '-v', 'VERBOSITY=verbose', '-h', $directory, '-p', $port{$server}, '-U', $user // 'postgres', '-c', $sql, 'postgres' ]);
    return join "\n", grep { $_ ne '' } $out, $err;
}
sub coordinator { return on('coordinator', @_) }
sub sorted_ids { return join ',', sort { $a <=> $b } split /,/, ($_[0] =~ /"ids":\[([\d,]*)\]/)[0] // '' }

my $ids0 = on('shard0', 'SELECT array_agg(id ORDER BY id) FROM orders');
my $ids1 = on('shard1', 'SELECT array_agg(id ORDER BY id) FROM orders');
like("$ids0 $ids1", qr/^\{\d.*\} \{\d.*\}$/, "rows are on both shards: $ids0, $ids1");
my ($one) = $ids0 =~ /(\d)/;
my ($other) = $ids1 =~ /(\d)/;

# With a guard on both sides.
my $version = coordinator("SELECT version FROM orders WHERE id = $one");
is(coordinator("UPDATE orders SET total = 11, version = $version WHERE id = $one RETURNING version"), $version + 1, 'an update that states its version');
like(
    coordinator("UPDATE orders SET total = 12, version = $version WHERE id = $one"),
    qr/ERROR:  PT409: optimistic lock conflict on 1 row of "orders"\nDETAIL:  .*"ids":\[$one\].*"actual":@{[$version + 1]}.*TABLE NAME:  orders\nCOLUMN NAME:  version/s,
    'a stale one');
is(coordinator("UPDATE orders SET total = 13 RETURNING version > 1"), join("\n", ('t') x 8), 'one that states none moves all versions');
is(sorted_ids(coordinator('UPDATE orders SET total = 14, version = 1')), '1,2,3,4,5,6,7,8', 'one error with the stale rows of both shards');
is(coordinator('SELECT count(*) FROM orders WHERE total = 13'), '8', '... and nothing is written');

my $rows = coordinator("SELECT jsonb_agg(to_jsonb(o) || '{\"total\": 20}') FROM orders AS o WHERE id IN ($one, $other)");
my $result = coordinator("SELECT status FROM occ.update('orders', '$rows')");
is($result, "updated\nupdated", 'occ.update() over both shards');
foreach my $call ("occ.update('orders', '$rows')", "occ.update_safely('orders', '$rows', '{\"total\": 1}')", "occ.touch('orders', '$rows')",
    "occ.delete('orders', '$rows')", "occ.check('orders', '$rows')")
{
    my $printed = coordinator("SELECT * FROM $call");
    like($printed, qr/PT409: optimistic lock conflict on 2 rows/, substr($call, 0, 20) . '...: refused');
    is(sorted_ids($printed), join(',', sort $one, $other), '... with the stale rows of both shards');
}
like(coordinator(qq{SELECT * FROM occ.update('orders', '[{"id": 98, "version": 1}, {"id": 99, "version": 1}]')}),
    qr/"ids":\[98,99\].*"missing"/, '... and missing rows');
is(coordinator('SELECT count(*) FROM orders WHERE total = 20'), '2', '... nothing was written or deleted');

# Who writes on a shard is checked there, and noticed on the coordinator.
like(on('shard0', "UPDATE orders SET total = 1, version = 1 WHERE id = $one"), qr/PT409/, 'a stale update on a shard');
$version = coordinator("SELECT version FROM orders WHERE id = $one");
on('shard0', "UPDATE orders SET total = 2 WHERE id = $one");
like(coordinator("UPDATE orders SET total = 3, version = $version WHERE id = $one"), qr/PT409.*"ids":\[$one\]/s, 'a write on a shard is noticed');

# Two at once: the shards are at REPEATABLE READ.
sub session
{
    my $psql = {};
    $psql->{harness} = IPC::Run::start([ 'psql', '-XqAt', '-v', 'VERBOSITY=sqlstate', '-v', 'ON_ERROR_STOP=0', '-h', $directory, '-p', $port{coordinator},
            '-U', 'postgres', '-d', 'postgres' ],
        '<', \$psql->{in}, '>', \$psql->{out}, '2>', \$psql->{err}, IPC::Run::timeout($PostgreSQL::Test::Utils::timeout_default));
    return $psql;
}
sub send_to { my ($psql, $sql) = @_; $psql->{in} .= "$sql\n\\echo done\n"; $psql->{harness}->pump_nb }
sub wait_for { my ($psql) = @_; $psql->{harness}->pump until $psql->{out} =~ s/done\n//; }
sub runs { my ($psql, $sql) = @_; $psql->{err} = ''; send_to($psql, $sql); wait_for($psql); }
sub wait_for_lock
{
    my ($server, $psql) = @_;
    while (on($server, q{SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'}) eq '0') { $psql->{harness}->pump_nb }
}
$version = coordinator("SELECT version FROM orders WHERE id = $one");
my ($first, $second) = map { session() } 1, 2;
runs($first, "BEGIN; UPDATE orders SET total = 30, version = $version WHERE id = $one;");
send_to($second, "UPDATE orders SET total = 31, version = $version WHERE id = $one;");
wait_for_lock('shard0', $second);
send_to($first, 'COMMIT;');
wait_for($_) for $first, $second;
like($second->{err}, qr/^.*ERROR:  40001$/m, 'who waits on a shard gets 40001');
is(coordinator("SELECT total FROM orders WHERE id = $one"), '30', '... and the other one has written');

runs($first, "BEGIN; SELECT version FROM orders WHERE id = $one; SAVEPOINT s;");
coordinator("UPDATE orders SET total = 32 WHERE id = $one");
runs($first, "UPDATE orders SET total = 33, version = $version WHERE id = $one;");
like($first->{err}, qr/ERROR:  40001$/m, 'and so does who has read there before');
runs($first, "ROLLBACK TO s; CALL occ.retry('UPDATE orders SET total = total + 1 WHERE id = $one');");
like($first->{err}, qr/ERROR:  40001$/m, '... in vain again after a savepoint, and with occ.retry() in the same transaction');
runs($first, "ROLLBACK; BEGIN; SELECT version FROM orders WHERE id = $other;");
coordinator("UPDATE orders SET total = 34 WHERE id = $one");
runs($first, "UPDATE orders SET total = 35, version = $version WHERE id = $one;");
like($first->{err}, qr/ERROR:  PT409$/m, '... but not who has only read on another shard');
runs($first, 'ROLLBACK;');
like(coordinator("CALL occ.retry('UPDATE orders SET total = total + 1 WHERE id = $one RETURNING total')"), qr/^1\|\{"total": 35\}$/, 'occ.retry() on its own');

# A deadlock over two servers is seen by none.
coordinator("ALTER SERVER $_ OPTIONS (ADD options '-c lock_timeout=2s')") for 'shard0', 'shard1';
$_->{harness}->kill_kill for $first, $second;
($first, $second) = map { session() } 1, 2;
runs($first, "BEGIN; UPDATE orders SET total = 40 WHERE id = $one;");
runs($second, "BEGIN; UPDATE orders SET total = 40 WHERE id = $other;");
send_to($first, "UPDATE orders SET total = 41 WHERE id = $other; ROLLBACK;");
wait_for_lock('shard1', $first);
send_to($second, "UPDATE orders SET total = 41 WHERE id = $one; ROLLBACK;");
wait_for($_) for $first, $second;
like($first->{err} . $second->{err}, qr/^.*ERROR:  55P03$/m, 'a deadlock over two shards ends by lock_timeout on the shards');
coordinator("ALTER SERVER $_ OPTIONS (DROP options)") for 'shard0', 'shard1';
my $plan = 'EXPLAIN UPDATE orders SET total = 1, version = 1';
like(coordinator($plan), qr/->  Foreign Scan on orders_0.*->  Foreign Scan on orders_1/s, 'one statement goes to the shards in their order');
coordinator("ALTER SERVER $_ OPTIONS (ADD async_capable 'true')") for 'shard0', 'shard1';
like(coordinator($plan), qr/Async Foreign Scan/, '... but to all at once with async_capable');
coordinator("ALTER SERVER $_ OPTIONS (DROP async_capable)") for 'shard0', 'shard1';
$_->{harness}->kill_kill for $first, $second;

# Shards that do not answer.
my $holder = session();
runs($holder, "BEGIN; UPDATE orders SET total = 1 WHERE id = $one;");
like(coordinator("SET statement_timeout = '1s'; UPDATE orders SET total = 2 WHERE id = $one"), qr/ERROR:  57014/, 'statement_timeout ends what waits for a shard');
$holder->{harness}->kill_kill;
{
    my $silent = IO::Socket::UNIX->new(Local => "$directory/.s.PGSQL.6009", Listen => 1) or die $!;
    coordinator("ALTER SERVER shard1 OPTIONS (SET port '6009', ADD connect_timeout '2')");
    # Newer versions can be interrupted while they connect, and leave the time to others.
    like(coordinator("SET statement_timeout = '6s'; UPDATE orders SET total = 50"), qr/ERROR:  (08001: .*\n.*timeout expired|57014: )/,
        'connect_timeout or statement_timeout ends what waits for a connection');
    like(coordinator("UPDATE orders SET total = 51 WHERE id = $one RETURNING total"), qr/^51$/, '... and the other shard goes on');
    coordinator("ALTER SERVER shard1 OPTIONS (SET port '$port{shard1}', DROP connect_timeout)");
}

# No two-phase commit.
like(coordinator('BEGIN; UPDATE orders SET total = 0; PREPARE TRANSACTION \'x\''), qr/ERROR:  \w+: cannot PREPARE a transaction that has operated on postgres_fdw/,
    'there is no two-phase commit');
# Which shard commits first is not told.
my @id = ($one, $other);
my $late;
foreach my $i (0, 1)
{
    coordinator('UPDATE orders SET total = 60');
    on("shard$i", q{CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '40001'; END $$});
    on("shard$i", "CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON orders_$i DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse()");
    like(coordinator("CALL occ.retry('UPDATE orders SET total = total + 1 WHERE id IN ($one, $other)', base_delay => '1 ms')"),
        qr/ERROR:  40001.*COMMIT TRANSACTION.*attempt 5 of 5/s, "what shard $i raises at commit");
    is(coordinator("SELECT total FROM orders WHERE id = $id[$i]"), '60', '... undoes what was done there');
    $late = $i if coordinator("SELECT total FROM orders WHERE id = $id[1 - $i]") eq '65';
    on("shard$i", 'DROP FUNCTION refuse CASCADE');
}
ok(defined $late, '... but not what the other one has committed, once a try');

my $half = session();
my @versions = map { coordinator("SELECT version FROM orders WHERE id = $_") } @id;
runs($half, join '; ', 'BEGIN', (map { "UPDATE orders SET total = 70, version = $versions[$_] WHERE id = $id[$_]" } 0, 1), '');
system "pg_ctl -s -D $directory/shard$late -m immediate stop";
runs($half, 'COMMIT;');
like($half->{err}, qr/ERROR:  08006$/m, 'a shard that goes down before it has committed');
like(coordinator("UPDATE orders SET total = 71"), qr/ERROR:  08001/, '... can not be reached');
system "pg_ctl -s -w -D $directory/shard$late -o \"-p $port{\"shard$late\"} -k $directory -c listen_addresses=''\" -l $directory/shard$late.log start";
is(coordinator("SELECT total FROM orders WHERE id = $id[1 - $late]"), '70', '... has not, but the other one has');
my $again = join ', ', map { qq({"id": $id[$_], "version": $versions[$_], "total": 70}) } 0, 1;
is(sorted_ids(coordinator("SELECT * FROM occ.update('orders', '[$again]')")), $id[1 - $late], '... which a client is told that tries again');
$half->{harness}->kill_kill;

# Somebody who is no superuser.
like(coordinator("UPDATE orders SET total = 80, version = 1 WHERE id = $one", 'app'), qr/PT409.*"ids":\[$one\]/s, 'app: a stale update');
is(coordinator("SELECT DISTINCT status FROM occ.touch('orders', (SELECT jsonb_agg(to_jsonb(o)) FROM orders AS o))", 'app'), 'updated', 'app: a batch');
coordinator('CREATE ROLE nobody LOGIN; GRANT SELECT ON orders TO nobody');
like(coordinator('SELECT * FROM orders', 'nobody'), qr/password.*required/, 'others need a password');

# Rows belong to their shard.
like(coordinator("UPDATE orders SET id = 11 WHERE id = $one"), qr/ERROR:  23514/, 'a row cannot be moved by an update');
like(coordinator(qq{SELECT * FROM occ.update_safely('orders', (SELECT to_jsonb(o) FROM orders AS o WHERE id = $one), '{"id": 11}')}), qr/ERROR:  23514/,
    '... nor by a batch');
like(on('shard0', "INSERT INTO $_ VALUES ($other)"), qr/ERROR:  23514/, "... nor can it be put into $_ there") for 'orders', 'orders_0';
like(coordinator('MERGE INTO orders AS o USING (VALUES (1)) AS v (id) ON o.id = v.id WHEN MATCHED THEN UPDATE SET total = 1'), qr/not supported for foreign tables/,
    'there is no MERGE');
like(coordinator('INSERT INTO orders (id) VALUES (1) ON CONFLICT (id) DO UPDATE SET total = 1'), qr/ERROR:  42P10/, '... and no ON CONFLICT DO UPDATE');

unlike(coordinator('EXPLAIN VERBOSE UPDATE orders SET total = 1'), qr/UPDATE public.orders_0 SET total/, 'with a guard, rows are sent one by one');
is(coordinator("UPDATE orders AS o SET total = 90 WHERE id = $one AND occ.etag_matches(occ.etag(o), (SELECT occ.etag(o) FROM orders AS o WHERE id = $one)) RETURNING total"),
    '90', 'etags');

# With the guards of the shards alone.
coordinator("SELECT occ.disable('orders')");
$version = coordinator("SELECT version FROM orders WHERE id = $other");
is(coordinator("UPDATE orders SET total = 41, version = $version WHERE id = $other RETURNING version"), $version + 1, 'shards only: an update');
my $printed = coordinator("UPDATE orders SET total = 42, version = $version WHERE id = $other");
like($printed, qr/ERROR:  PT409: optimistic lock conflict on 1 row of "orders"\nDETAIL:  .*"ids":\[$other\].*\nHINT:  Read the listed rows again/,
    'shards only: SQLSTATE, DETAIL and HINT arrive');
unlike($printed, qr/TABLE NAME/, '... the other fields do not');
$printed = coordinator('UPDATE orders SET total = 43, version = 1');
ok("{@{[sorted_ids($printed)]}}" eq $ids0 || "{@{[sorted_ids($printed)]}}" eq $ids1, 'shards only: the stale rows of one shard') or diag $printed;
is(coordinator('SELECT count(*) FROM orders WHERE total = 43'), '0', '... and nothing is written on any');
like(coordinator("SELECT * FROM occ.update('orders', '$rows')"), qr/ERROR:  55000: table "orders" is not guarded/, 'shards only: no batches');
like(coordinator("SELECT occ.etag(o) FROM orders AS o"), qr/ERROR:  55000/, 'shards only: no etag of the version');
like(coordinator("SELECT occ.etag(o, '{version}') FROM orders AS o WHERE id = $one"), qr/^"\w+"$/, '... but one of columns');
like(coordinator('EXPLAIN VERBOSE UPDATE orders SET total = 44'), qr/Remote SQL: UPDATE public.orders_0 SET total = 44/, 'shards only: updates are sent as a whole');
like(coordinator("SET occ_lock.conflict_sqlstate = '40001'; UPDATE orders SET total = 1, version = 1 WHERE id = $one"), qr/PT409/, "shards only: the shard's settings count");
like(coordinator("UPDATE orders SET total = 81, version = 1 WHERE id = $one", 'app'), qr/PT409.*"ids":\[$one\]/s, 'shards only: app');

# Options and types of versions: t, with guards of the options given; undef for none.
sub create_t
{
    my ($type, $default, $coordinator_guard, $shard_guard) = @_;
    my $columns = "id int, total int, version $type NOT NULL DEFAULT $default";
    foreach my $i (0, 1)
    {
        on("shard$i", "DROP TABLE IF EXISTS t; CREATE TABLE t ($columns, PRIMARY KEY (id)) PARTITION BY HASH (id)");
        on("shard$i", "CREATE TABLE t_$i PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER $i)");
        on("shard$i", "SELECT occ.enable('t'$shard_guard)");
    }
    coordinator("DROP TABLE IF EXISTS t; CREATE TABLE t ($columns) PARTITION BY HASH (id)");
    coordinator("CREATE FOREIGN TABLE t_$_ PARTITION OF t FOR VALUES WITH (MODULUS 2, REMAINDER $_) SERVER shard$_") for 0, 1;
    coordinator("SELECT occ.enable('t', key => '{id}'$coordinator_guard)") if defined $coordinator_guard;
    my $error = coordinator('INSERT INTO t (id, total) SELECT i, 1 FROM generate_series(1, 4) AS i');
    BAIL_OUT($error) if $error ne '';
}
my $states = "UPDATE t SET total = 2, version = (SELECT version FROM t WHERE id = 1) WHERE id = 1 RETURNING 'written'";
my $stale = 'UPDATE t SET total = 3, version = 1 WHERE id = 1';
my $deletes = q{SELECT status FROM occ.delete('t', (SELECT to_jsonb(t) FROM t WHERE id = 1))};

foreach my $preset ('shared', 'orm')
{
    create_t('bigint', 1, ", preset => '$preset'", ", preset => '$preset'");
    is(coordinator(q{SELECT DISTINCT status, version FROM occ.update('t', (SELECT jsonb_agg(to_jsonb(t)) FROM t))}), 'updated|2', "$preset: a batch");
    like(coordinator($stale), qr/PT409.*"actual":2/s, "$preset: a stale update");
    is(coordinator($deletes), 'deleted', "$preset: a delete");
}
create_t('bigint', 1, ", preset => 'strict'", '');
like(coordinator('UPDATE t SET total = 1'), qr/PT428/, 'strict on the coordinator alone: a version must be stated');
is(coordinator($states), 'written', '... it is');
like(coordinator($stale), qr/PT409.*"actual":2/s, '... it is stale');
like(coordinator('DELETE FROM t'), qr/PT428/, '... DELETE is refused');
is(coordinator($deletes), 'deleted', '... but for occ.delete()');
create_t('bigint', 1, '', ", preset => 'strict'");
like(coordinator($states), qr/PT409.*"expected":2,"actual":1/s, 'strict on the shards as well: nothing passes');
create_t('bigint', 1, undef, ", preset => 'strict'");
is(coordinator($states), 'written', 'strict on the shards only: a version that is stated');
like(coordinator($stale), qr/PT409.*"actual":2/s, '... it is stale');
like(coordinator('UPDATE t SET total = 1'), qr/PT428/, '... none is stated');
is(on('shard0', $deletes), 'deleted', '... occ.delete() on the shard itself');
create_t('bigint', 1, '', ", deletes => 'checked'");
like(coordinator($deletes), qr/PT428/, 'deletes that the shard checks');

create_t('bigint', 1, ", enforce => 'warn'", '');
coordinator($states);
like(coordinator($stale), qr/WARNING:  PT409/, "the coordinator's warnings arrive");
create_t('bigint', 1, undef, ", enforce => 'warn'");
coordinator($states);
is(coordinator($stale), '', "... the shards' do not");
like(slurp_file("$directory/shard0.log"), qr/WARNING:  optimistic lock conflict on 1 row of "t"/, '... but are in the log');

create_t('uuid', 'gen_random_uuid()', '', '');
like(coordinator($states), qr/PT409.*"expected":"[-0-9a-f]{36}"/s, 'uuids with guards on both sides');
create_t('uuid', 'gen_random_uuid()', undef, '');
is(coordinator($states), 'written', '... on the shards only');
like(coordinator("UPDATE t SET version = gen_random_uuid() WHERE id = 1"), qr/PT409/, '... where a stale one is refused');
create_t('uuid', 'gen_random_uuid()', '', ", token => 'advance'");
is(coordinator($states), 'written', '... and on both, with token => advance on the shards');
like(coordinator("UPDATE t SET version = gen_random_uuid() WHERE id = 1"), qr/PT409/, '... where a stale one is refused, by the coordinator');

my $tokyo = "SET TimeZone = 'Asia/Tokyo'; ";
my $when = "RETURNING (extract(epoch FROM version - localtimestamp) / 3600)::int";
create_t('timestamp', "localtimestamp - interval '1 day'", '', '');
is(coordinator("${tokyo}UPDATE t SET total = 1 $when"), join("\n", (0) x 4), "timestamps: in the coordinator's time zone");
create_t('timestamp', "localtimestamp - interval '1 day'", undef, '');
is(coordinator("${tokyo}UPDATE t SET total = 1 $when"), join("\n", (-9) x 4), "... or, shards only, in GMT");
create_t('timestamptz', 'now()', undef, '');
like(coordinator("${tokyo}UPDATE t SET version = now() - interval '1 day'"), qr/"actual":"[-0-9T:.]+\+00:00"/, "... and so are times in the shards' errors");

page_runs(@$stop);
is(scalar(grep { -e "$directory/$_/postmaster.pid" } keys %port), 0, '... and the servers are stopped');
done_testing();
