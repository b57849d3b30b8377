# ALTER EXTENSION ... UPDATE makes of an old installation what CREATE EXTENSION makes, while tables stay guarded.
use strict;
use warnings FATAL => 'all';
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', 'fsync = off');
$node->start;

# Every entry that belongs to the extension, with all that is in it but OIDs, which differ, as their names.
my $entries = q{
	SET search_path = pg_catalog;
	WITH members AS (
		SELECT d.classid, d.objid FROM pg_depend AS d JOIN pg_extension AS e ON e.oid = d.refobjid
		WHERE e.extname = 'occ_lock' AND d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass
	), everything AS (
		SELECT pg_describe_object(classid, objid, 0) AS object, obj_description(objid, classid::regclass::name) AS more FROM members
		UNION ALL
		SELECT pg_get_functiondef(p.oid), (to_jsonb(p) - '{oid,pronamespace,prorettype,proargtypes,proallargtypes,proargdefaults}'::text[])::text
		FROM pg_proc AS p JOIN members ON objid = p.oid AND classid = 'pg_proc'::regclass
		UNION ALL
		SELECT pg_get_viewdef(c.oid), (to_jsonb(c) - '{oid,reltype,relnamespace,relfilenode}'::text[])::text
		FROM pg_class AS c JOIN members ON objid = c.oid AND classid = 'pg_class'::regclass
		UNION ALL
		SELECT a.attrelid::regclass::text, (to_jsonb(a) - '{attrelid,attoptions}'::text[])::text
		FROM pg_attribute AS a JOIN members ON objid = a.attrelid AND classid = 'pg_class'::regclass
		UNION ALL
		SELECT 'depends', pg_describe_object(d.classid, d.objid, d.objsubid) || ' ' || d.deptype::text || ' ' ||
			pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid)
		FROM pg_depend AS d JOIN members USING (classid, objid)
		UNION ALL
		SELECT 'initial privileges', pg_describe_object(i.classoid, i.objoid, i.objsubid) || i.privtype::text || i.initprivs::text
		FROM pg_init_privs AS i JOIN members ON objid = i.objoid AND classid = i.classoid
		UNION ALL
		SELECT 'schema', (to_jsonb(n) - 'oid')::text FROM pg_namespace AS n WHERE n.nspname = 'occ'
		UNION ALL
		SELECT 'extension', (to_jsonb(e) - '{oid,extnamespace}'::text[])::text FROM pg_extension AS e WHERE e.extname = 'occ_lock'
	)
	SELECT object, more FROM everything ORDER BY object COLLATE "C", more COLLATE "C"};

my $version = $node->safe_psql('postgres', q{SELECT default_version FROM pg_available_extensions WHERE name = 'occ_lock'});
my @older = grep { $_ ne $version } split /\n/,
	$node->safe_psql('postgres', q{SELECT version FROM pg_available_extension_versions WHERE name = 'occ_lock' ORDER BY 1});
cmp_ok(scalar @older, '>=', 1, 'there is an older version');

$node->safe_psql('postgres', 'CREATE DATABASE fresh');
$node->safe_psql('fresh', 'CREATE EXTENSION occ_lock');
my $fresh = $node->safe_psql('fresh', $entries);
like($fresh, qr/occ\.unguarded/, 'what is compared has views in it');
like($fresh, qr/FUNCTION occ\.etag_matches.*weak boolean DEFAULT false/, '... and functions');

foreach my $old (@older)
{
	my $database = "from $old";
	$node->safe_psql('postgres', qq{CREATE DATABASE "$database"});
	$node->safe_psql(
		$database, qq{
		SET client_min_messages = warning;
		CREATE EXTENSION occ_lock VERSION '$old';
		CREATE TABLE product (id int PRIMARY KEY, name text);
		INSERT INTO product VALUES (1, 'cup');
		SELECT occ.enable('product', preset => 'strict');
		UPDATE product SET name = 'mug', version = 1;
		SELECT * FROM occ.update('product', '{"id": 1, "version": 2, "name": "jug"}');
	});
	isnt($node->safe_psql($database, $entries), $fresh, "$old: another installation");
	$node->safe_psql($database, 'ALTER EXTENSION occ_lock UPDATE');
	is($node->safe_psql($database, $entries), $fresh, "$old: after the update, every entry is that of a fresh one");
	my ($status, $stdout, $stderr) = $node->psql($database, "\\set VERBOSITY sqlstate\nUPDATE product SET name = 'pot', version = 2");
	like($stderr, qr/PT409/, "$old: the table is still guarded");
	is($node->safe_psql($database, 'SELECT name, version, occ.etag(p) FROM product AS p'), 'jug|3|"3"', "$old: and its rows are there");
}

$node->stop;
done_testing();
