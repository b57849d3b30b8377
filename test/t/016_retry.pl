# occ.retry() under fire: many clients on one row under every isolation level, pipelines, and whatever can end a call in
# the middle of a pause.  No increment is lost, and nothing stays locked.

use strict;
use warnings FATAL => 'all';

use IPC::Run;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('retry');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\nclient_connection_check_interval = 100ms");
$node->start;
$node->safe_psql('postgres', q{
    CREATE EXTENSION occ_lock;
    CREATE TABLE counter (id int PRIMARY KEY, n int, version bigint NOT NULL DEFAULT 1);
    SELECT occ.enable('counter', preset => 'strict');
    CREATE TABLE log (entry text);
    CREATE SEQUENCE calls;

    CREATE FUNCTION add_one() RETURNS int LANGUAGE plpgsql AS $$
    DECLARE
        c counter;
    BEGIN
        SELECT * INTO c FROM counter WHERE id = 1;
        UPDATE counter SET n = c.n + 1, version = c.version WHERE id = 1;
        RETURN c.n + 1;
    END $$;

    -- Writes first, and then fails until it has been called often enough.
    CREATE FUNCTION flaky(succeeds_at int) RETURNS int LANGUAGE plpgsql AS $$
    BEGIN
        UPDATE counter SET n = n + 1, version = version WHERE id = 1;
        IF nextval('calls') < succeeds_at THEN
            RAISE EXCEPTION 'not yet' USING ERRCODE = 'PT409', DETAIL = 'the detail', TABLE = 'the table';
        END IF;
        RETURN currval('calls');
    END $$;
});

sub reset_tables
{
    $node->safe_psql('postgres', q{
        TRUNCATE counter, log;
        INSERT INTO counter VALUES (1, 0);
        ALTER SEQUENCE calls RESTART;
    });
}

sub value_of { return $node->safe_psql('postgres', "SELECT ($_[0])"); }

# Many clients, one row.

sub pgbench
{
    my ($script, $settings, @options) = @_;
    my $file = "$PostgreSQL::Test::Utils::tmp_check/script.sql";
    unlink $file;
    append_to_file($file, $script);
    local $ENV{PGOPTIONS} = $settings;
    return run_command([ 'pgbench', '-n', '-h', $node->host, '-p', $node->port, '-f', $file, @options, 'postgres' ]);
}

my ($clients, $transactions) = (8, 40);
my $expected = $clients * $transactions;
foreach my $level ('read committed', 'repeatable read', 'serializable')
{
    reset_tables();
    my $settings = '-c default_transaction_isolation=' . $level =~ s/ /\\ /r;
    my ($stdout, $stderr) = pgbench("CALL occ.retry('SELECT add_one()', 1000);\n", $settings, '-c', $clients, '-t', $transactions);
    like($stdout, qr{actually processed: $expected/$expected}, "$level: all increments succeed") or diag $stderr;
    is(value_of('SELECT n FROM counter'), $expected, "$level: none of them is lost");
    is(value_of('SELECT version FROM counter'), $expected + 1, "$level: the version has counted them");
}

# The same without a guard loses some, so the above means something.  On a busy machine the clients may not meet at once.
reset_tables();
$node->safe_psql('postgres', 'ALTER TABLE counter DISABLE TRIGGER _occ_guard');
my $rounds = 0;
do
{
    pgbench("CALL occ.retry('SELECT add_one()', 1000);\n", '', '-c', $clients, '-t', $transactions);
    $rounds++;
} while (value_of('SELECT n FROM counter') == $rounds * $expected && $rounds < 50);
cmp_ok(value_of('SELECT n FROM counter'), '<', $rounds * $expected, 'without a guard increments are lost');
$node->safe_psql('postgres', 'ALTER TABLE counter ENABLE TRIGGER _occ_guard');

# In a pipeline, what was done before the call is not the call's to commit or to roll back.

sub pipeline
{
    my ($call) = @_;
    reset_tables();
    my ($stdout, $stderr) = pgbench(
        "\\startpipeline\nINSERT INTO log VALUES ('before');\n$call;\nINSERT INTO log VALUES ('after');\n\\endpipeline\n",
        '', '-M', 'extended', '-t', 1);
    return $stderr;
}

my $entries = q{SELECT coalesce(string_agg(entry, ' '), '') FROM log};
pipeline("CALL occ.retry('SELECT flaky(3)')");
is(value_of($entries), 'before after', 'pipeline: a call that succeeds in the end loses nothing');
is(value_of('SELECT n FROM counter'), 1, 'pipeline: it has written once');
like(pipeline("CALL occ.retry('SELECT flaky(9)', 2)"), qr/not yet/, 'pipeline: a call that gives up fails it');
is(value_of($entries), '', 'pipeline: nothing of it is there');
is(value_of('SELECT n FROM counter'), 0, 'pipeline: nor of the call');

# The call first: its attempts are transactions, and what follows is another one.
reset_tables();
pgbench("\\startpipeline\nCALL occ.retry('SELECT flaky(3)');\nINSERT INTO log SELECT 1/0;\n\\endpipeline\n", '', '-M', 'extended', '-t', 1);
is(value_of('SELECT n FROM counter'), 1, 'pipeline: a call that comes first has committed');
reset_tables();
pgbench("\\startpipeline\nCALL occ.retry('SELECT flaky(3)');\nCALL occ.retry('SELECT flaky(5)');\nINSERT INTO log SELECT 1/0;\n\\endpipeline\n",
    '', '-M', 'extended', '-t', 1);
is(value_of('SELECT n FROM counter'), 1, 'pipeline: a call that comes second has not');

# The end of a call in a pause.

# Start psql with a script, and wait until its call pauses.  Returns the session.
sub start_psql
{
    my ($script) = @_;
    my $session = { stdout => '', stderr => '' };
    my $file = "$PostgreSQL::Test::Utils::tmp_check/session.sql";
    unlink $file;
    append_to_file($file, $script);
    reset_tables();
    $session->{run} = IPC::Run::start(
        [ 'psql', '-XqAt', '-v', 'VERBOSITY=verbose', '-d', $node->connstr('postgres') . ' application_name=pausing' ],
        '<', $file, '>', \$session->{stdout}, '2>', \$session->{stderr});
    $node->poll_query_until('postgres', q{SELECT count(*) = 1 FROM pg_stat_activity WHERE application_name = 'pausing' AND wait_event = 'PgSleep'})
      or die "no pause: $session->{stderr}";
    $session->{pid} = value_of(q{SELECT pid FROM pg_stat_activity WHERE application_name = 'pausing'});
    return $session;
}

sub is_over
{
    my ($pid) = @_;
    return $node->poll_query_until('postgres', "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $pid)");
}

my $call = q{CALL occ.retry('SELECT flaky(9)', base_delay => '1 hour', max_delay => '1 hour');};
my $block = "BEGIN; INSERT INTO log VALUES ('kept'); SAVEPOINT s; $call ROLLBACK TO s; COMMIT;";
my $alive = "SELECT 'alive';";

# What the others see meanwhile.
my $session = start_psql("$call\n$alive\n");
is(value_of(qq{SELECT string_agg(locktype, ' ') FROM pg_locks WHERE pid = $session->{pid}}), 'virtualxid', 'pause: no lock is held');
is(value_of(qq{SELECT concat(backend_xid, backend_xmin) FROM pg_stat_activity WHERE pid = $session->{pid}}),
    '', 'pause: no transaction id and no snapshot, so VACUUM goes on');
is($node->safe_psql('postgres', q{SET lock_timeout = '10s'; UPDATE counter SET n = 100, version = version RETURNING n}), 100,
    'pause: the others can write the row');

# Cancel.
value_of("SELECT pg_cancel_backend($session->{pid})");
$session->{run}->finish;
like($session->{stderr}, qr/57014: canceling statement due to user request\nCONTEXT:  occ.retry\(\), pause after attempt 1 of 5\n/, 'cancel: ends the pause');
is($session->{stdout}, "alive\n", 'cancel: the session goes on');
is(value_of('SELECT n FROM counter'), 100, 'cancel: nothing was written');

$session = start_psql("$block\n$alive\n");
value_of("SELECT pg_cancel_backend($session->{pid})");
$session->{run}->finish;
like($session->{stderr}, qr/57014.*pause after attempt 1 of 5/s, 'cancel in a block: ends the pause');
is($session->{stdout}, "alive\n", 'cancel in a block: the session goes on');
is(value_of($entries), 'kept', 'cancel in a block: what was done before the call can be committed');
is(value_of('SELECT n FROM counter'), 0, 'cancel in a block: nothing of the call is left');

# Statement timeout: the whole call is one statement.
foreach my $sql ($call, $block)
{
    my $where = $sql eq $call ? 'timeout' : 'timeout in a block';
    my ($stdout, $stderr);
    reset_tables();
    $node->psql('postgres', "SET statement_timeout = '300ms';\n$sql\n$alive", stdout => \$stdout, stderr => \$stderr, on_error_stop => 0);
    like($stderr, qr/canceling statement due to statement timeout/, "$where: ends the pause");
    like($stdout, qr/alive/, "$where: the session goes on");
    is(value_of('SELECT n FROM counter'), 0, "$where: nothing was written");
}

# The server ends the session.
foreach my $sql ($call, $block)
{
    my $where = $sql eq $call ? 'terminate' : 'terminate in a block';
    $session = start_psql("$sql\n$alive\n");
    value_of("SELECT pg_terminate_backend($session->{pid})");
    $session->{run}->finish;
    like($session->{stderr}, qr/57P01: terminating connection/, "$where: ends the pause");
    is(value_of("SELECT count(*) FROM pg_locks WHERE pid = $session->{pid}"), 0, "$where: nothing stays locked");
    is(value_of("$entries") . value_of('SELECT n FROM counter'), '0', "$where: nothing was written");
}

# The client dies.
foreach my $sql ($call, $block)
{
    my $where = $sql eq $call ? 'dead client' : 'dead client in a block';
    $session = start_psql("$sql\n$alive\n");
    $session->{run}->kill_kill;
    ok(is_over($session->{pid}), "$where: the server notices during the pause");
    is(value_of("SELECT count(*) FROM pg_locks WHERE pid = $session->{pid}"), 0, "$where: nothing stays locked");
    is(value_of("$entries") . value_of('SELECT n FROM counter'), '0', "$where: nothing was written");
}

# It dies, and the server is not told to look: the call ends as it would have ended, once.
$session = start_psql("SET client_connection_check_interval = 0; CALL occ.retry('SELECT flaky(2)', base_delay => '2 s', max_delay => '2 s');\n");
$session->{run}->kill_kill;
ok(is_over($session->{pid}), 'dead client, unnoticed: the call ends');
is(value_of('SELECT n FROM counter'), 1, 'dead client, unnoticed: it has written once');

# Lock timeout is not worth another attempt, and leaves nothing behind.
reset_tables();
my $holder = $node->background_psql('postgres');
$holder->query_safe('BEGIN; SELECT FROM counter WHERE id = 1 FOR UPDATE;');
my ($stdout, $stderr);
$node->psql('postgres', "\\set VERBOSITY verbose\nSET lock_timeout = '100ms';\n$call\n$alive\nSELECT string_agg(locktype, ' ') FROM pg_locks WHERE pid = pg_backend_pid() AND locktype IN ('tuple', 'transactionid');",
    stdout => \$stdout, stderr => \$stderr, on_error_stop => 0);
like($stderr, qr/55P03: canceling statement due to lock timeout.*attempt 1 of 5/s, 'lock timeout: passes at once');
like($stdout, qr/^alive$/m, 'lock timeout: the session goes on');
$holder->query_safe('COMMIT;');
$holder->quit;

# When it gives up on its own, the client gets all fields of the last error.
reset_tables();
$node->psql('postgres', "\\set VERBOSITY verbose\nCALL occ.retry('SELECT flaky(9)', 3, base_delay => '0');", stderr => \$stderr);
like($stderr, qr/ERROR:  PT409: not yet\nDETAIL:  the detail\n.*\nocc.retry\(\), attempt 3 of 3\nTABLE NAME:  the table\n/s,
    'the last error has all its fields');

# A debugging message tells of every attempt that failed.
reset_tables();
$node->psql('postgres', "SET client_min_messages = debug1; CALL occ.retry('SELECT flaky(3)');", stderr => \$stderr);
is(scalar(() = $stderr =~ /DEBUG:  occ.retry\(\): attempt \d failed with SQLSTATE PT409, pause of 0\.0\d+ s/g), 2, 'debug1 tells of failed attempts');

$node->stop;
done_testing();
