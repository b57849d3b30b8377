"""What the soak's clients do with rows, and how it is written down."""
import json
import time
import uuid

import psycopg2
from versions import Counters, canonical, is_counter


# What else a key of two columns has.
ZONE = {'zone': 7}


class Rows:
    """The rows as a transaction knows them, and its entry in the log."""

    def __init__(self, known, entry):
        self.known, self.entry = known, entry
        self.operation = None       # its name
        self.stated = {}
        self.names_missing = False
        self.started = time.monotonic()

    def states(self, ids, client):
        """(id, incarnation, version, tokens with a new one) of those that are known; what is stated next.

        Now and then as they were before the transaction, which by now may have written them itself.
        """
        self.started = time.monotonic()
        self.names_missing = False
        known = client.known if client.random.random() < 0.05 else self.known
        rows = {id: known[id] for id in ids if id in known}
        self.stated = {id: (incarnation, version) for id, (incarnation, version, _) in rows.items()}
        return [(id, incarnation, version, tokens + [client.token()]) for id, (incarnation, version, tokens) in rows.items()]

    def states_to_function(self, ids, client):
        """The same for one that tells of rows that are gone, too."""
        states = self.states(ids, client)
        self.names_missing = True
        return states

    def wrote(self, id, incarnation, version, tokens, token=None, read=None):
        """A row that was written: read is the version that was stated, or None if none was."""
        self.entry['writes'].append({'by': self.operation, 'id': id, 'incarnation': incarnation, 'read': read, 'new': version, 'token': token})
        self.known[id] = incarnation, version, tokens

    def made(self, id, incarnation, version, tokens):
        self.entry['writes'].append({'by': self.operation, 'id': id, 'incarnation': incarnation, 'start': version, 'tokens': tokens})
        self.known[id] = incarnation, version, tokens

    def deleted(self, id, incarnation, version):
        self.entry['writes'].append({'by': self.operation, 'id': id, 'incarnation': incarnation, 'read': version, 'deleted': True})
        self.known.pop(id, None)

    def moved(self, old_id, id, incarnation, version, tokens, read):
        """A row that was written, and has another id by that."""
        self.wrote(id, incarnation, version, tokens, tokens[-1], read)
        self.entry['writes'][-1]['old_id'] = old_id
        self.known.pop(old_id, None)

    def absent(self, id, compared=None):
        """A row that was to be written, and was not found, or not at the (incarnation, version) that was compared: no error."""
        incarnation, version = compared or (None, None)
        self.entry['absent'].append({'by': self.operation, 'id': id, 'incarnation': incarnation, 'version': version,
                                     'own': id in [write['id'] for write in self.entry['writes']],
                                     'own_deleted': id in self.own_deleted(), 'from': self.started, 'to': time.monotonic()})

    def own_deleted(self):
        """Ids that have no row since this transaction has deleted it, or moved it elsewhere."""
        return [write.get('old_id', write['id']) for write in self.entry['writes'] if write.get('deleted') or 'old_id' in write]

    def refused(self, error):
        if error.pgcode != 'PT409':
            return
        self.refused_with(error.diag.message_detail)

    def refused_with(self, detail):
        detail = json.loads(detail)
        # Whatever else is in a key is constant.
        keys = [list(row['key'].values()) for row in detail['rows']]
        ids = [id[-1] if id in keys and id[:-1] == list(ZONE.values()) else id for id in detail['ids']]
        self.told([{**row, 'id': row['key']['id'], 'expected': canonical(row['expected']), 'actual': canonical(row['actual'])}
                   for row in detail['rows']], ids, detail['conflicts'])

    def answered(self, states, rows, done, on_conflict='error'):
        """What a function says of the rows that it was given: (id, status, version) of each.  Yields those that are done, with their states."""
        rows = [(id, status, canonical(version)) for id, status, version in rows]
        self.entry['answers'].append({'by': self.operation, 'asked': [(id, version) for id, _, version, _ in states], 'rows': rows,
                                      'done': done, 'on_conflict': on_conflict})
        skipped = []
        for (id, status, new), state in zip(rows, states):
            if status == done:
                yield new, *state
            else:
                skipped.append({'id': id, 'status': status, 'expected': self.stated[id][1], 'actual': new})
        if rows and on_conflict == 'skip':
            self.told(skipped, [row['id'] for row in skipped], len(skipped))

    def told(self, rows, ids, count):
        """Rows that an error, or the result of a function, says are stale or missing."""
        self.entry['refusals'].append({
            'by': self.operation, 'rows': [{name: row[name] for name in ('id', 'status', 'expected', 'actual')} for row in rows],
            'ids': ids, 'count': count, 'stated': self.stated, 'names_missing': self.names_missing,
            'own': {write['id']: write.get('new', write.get('start')) for write in self.entry['writes']}, 'own_deleted': self.own_deleted(),
            'from': self.started, 'to': time.monotonic()})


SAVES = (
    'UPDATE item SET tokens = %(tokens)s, version = %(version)s WHERE id = %(id)s RETURNING incarnation, version',
    # A column of the key is named, and stays as it is.
    'UPDATE item SET id = %(id)s, tokens = %(tokens)s, version = %(version)s WHERE id = %(id)s RETURNING incarnation, version',
    # In a CTE, conflicts come later.
    """WITH saved AS (UPDATE item SET tokens = %(tokens)s, version = %(version)s WHERE id = %(id)s RETURNING incarnation, version)
       SELECT incarnation, version FROM saved""",
    # From a plan that the session keeps.
    'SELECT incarnation, version FROM save_item(%(id)s, %(tokens)s, %(version)s::KIND)',
)


def save(cursor, rows, client, ids):
    """State the version that was read."""
    for id, _, version, tokens in rows.states(ids[:1], client):
        cursor.execute(client.random.choice(SAVES[:1] * 4 + SAVES).replace('KIND', client.versions.type), {'id': id, 'tokens': tokens, 'version': version})
        found = cursor.fetchall()
        for incarnation, new in found:
            rows.wrote(id, incarnation, new, tokens, tokens[-1], version)
        if not found:
            rows.absent(id)


def save_nothing(cursor, rows, client, ids):
    """State the version, and change nothing else."""
    for id, _, version, tokens in rows.states(ids[:1], client):
        cursor.execute('UPDATE item SET version = %s WHERE id = %s RETURNING incarnation, version', [version, id])
        found = cursor.fetchall()
        for incarnation, new in found:
            rows.wrote(id, incarnation, new, tokens[:-1], None, version)
        if not found:
            rows.absent(id)


def save_or_tell(cursor, rows, client, ids):
    """In PL/pgSQL, whose exception handler sees the conflict."""
    for id, _, version, tokens in rows.states(ids[:1], client):
        cursor.execute(f'SELECT incarnation, version, detail FROM save_item_or_tell(%s, %s, %s::{client.versions.type})', [id, tokens, version])
        (incarnation, new, detail), = cursor.fetchall()
        if detail is not None:
            rows.refused_with(detail)
        elif incarnation is not None:
            rows.wrote(id, incarnation, new, tokens, tokens[-1], version)
        else:
            rows.absent(id)


def save_locked(cursor, rows, client, ids):
    """Lock the row, whatever has become of it, and save what was read before."""
    lock = client.random.choice(('UPDATE', 'NO KEY UPDATE', 'SHARE', 'KEY SHARE'))
    cursor.execute(f'SELECT 1 FROM item WHERE id = %s FOR {lock}', [ids[0]])
    save(cursor, rows, client, ids)


def save_at_cursor(cursor, rows, client, ids):
    """Where a cursor is, which has locked the row.  (Of partitions, it must have them all.)"""
    for id, _, version, tokens in rows.states(ids[:1], client):
        cursor.execute('DECLARE here CURSOR FOR SELECT 1 FROM item WHERE id + 0 = %s FOR UPDATE; FETCH here', [id])
        found = cursor.fetchall()
        if found:
            cursor.execute('UPDATE item SET tokens = %s, version = %s WHERE CURRENT OF here RETURNING incarnation, version', [tokens, version])
            found = cursor.fetchall()
        for incarnation, new in found:
            rows.wrote(id, incarnation, new, tokens, tokens[-1], version)
        if not found:
            rows.absent(id)
        cursor.execute('CLOSE here')


def save_with_etag(cursor, rows, client, ids):
    """Compare in WHERE, as a web server does for If-Match, and state no version unless one must."""
    for id, _, version, tokens in rows.states(ids[:1], client):
        cursor.execute(f"""UPDATE item AS i SET tokens = %s {', version = i.version' if client.strict else ''}
                           WHERE id = %s AND occ.etag_matches(occ.etag(i), %s)
                           RETURNING incarnation, version""", [tokens, id, f'"0", "{version}"'])
        found = cursor.fetchall()
        for incarnation, new in found:
            rows.wrote(id, incarnation, new, tokens, tokens[-1], version)
        if not found:
            rows.absent(id, rows.stated[id])


def save_as_orms_do(cursor, rows, client, ids):
    """Compare in WHERE, and write the next version, unless that must be the one that was read."""
    for id, _, version, tokens in rows.states(ids[:1], client):
        cursor.execute('UPDATE item SET tokens = %s, version = %s WHERE id = %s AND version = %s RETURNING incarnation, version',
                       [tokens, version if client.strict else client.versions.next(version), id, version])
        found = cursor.fetchall()
        for incarnation, new in found:
            rows.wrote(id, incarnation, new, tokens, tokens[-1], version)
        if not found:
            rows.absent(id, rows.stated[id])


def save_several(cursor, rows, client, ids):
    """One statement, many rows."""
    states = rows.states(ids, client)
    cursor.execute("""UPDATE item AS i SET tokens = v.tokens::text[], version = v.version
                      FROM unnest(%s::int[], %s::text[], %s::KIND[]) AS v(id, tokens, version) WHERE i.id = v.id
                      RETURNING i.id, i.incarnation, i.version""".replace('KIND', client.versions.type),
                   [[state[0] for state in states], ['{' + ','.join(state[3]) + '}' for state in states], [state[2] for state in states]])
    by_id = {state[0]: state for state in states}
    found = cursor.fetchall()
    for id, incarnation, new in found:
        rows.wrote(id, incarnation, new, by_id[id][3], by_id[id][3][-1], by_id[id][2])
    for id in by_id.keys() - {row[0] for row in found}:
        rows.absent(id)


def in_any_order(client, ids):
    """The functions put rows in order themselves."""
    return client.random.sample(ids, len(ids))


def update_set(cursor, rows, client, ids):
    """occ.update(), all or nothing or what can be written, now and then with other columns for some of the rows."""
    states = rows.states_to_function(in_any_order(client, ids), client)
    on_conflict = client.random.choice(('error', 'error', 'skip'))
    elements = [{**client.key(id), 'version': version, 'tokens': tokens} for id, _, version, tokens in states]
    if client.random.random() < 0.3:
        for element in elements[client.random.randrange(2)::2]:
            element['note'] = element['tokens'][-1]
    cursor.execute("SELECT (key ->> 'id')::int, status, version FROM occ.update('item', %s, %s)", [json.dumps(elements), on_conflict])
    for new, id, incarnation, version, tokens in rows.answered(states, cursor.fetchall(), 'updated', on_conflict):
        rows.wrote(id, incarnation, new, tokens, tokens[-1], version)


def update_safely(cursor, rows, client, ids):
    """occ.update_safely(), on the version; or on what else tells one state of a row from another."""
    for id, incarnation, version, tokens in rows.states_to_function(ids[:1], client):
        read = {'incarnation': incarnation, 'tokens': tokens[:-1]}
        # Who compares values does not know the version that he writes on.
        by_value = is_counter(version) and client.random.random() < 0.3
        if by_value:
            # Errors have arrays as text.
            rows.stated[id] = incarnation, {**read, 'tokens': '{' + ','.join(tokens[:-1]) + '}'}
        cursor.execute("SELECT (key ->> 'id')::int, status, version FROM occ.update_safely('item', %s, %s, %s)",
                       [json.dumps({**client.key(id), 'version': version, **read}), json.dumps({'tokens': tokens}), list(read) if by_value else None])
        for new, *_ in rows.answered([(id, incarnation, version, tokens)], cursor.fetchall(), 'updated'):
            rows.wrote(id, incarnation, new, tokens, tokens[-1], None if by_value else version)


def update_several_safely(cursor, rows, client, ids):
    """The same change for many rows, so there is no token."""
    states = rows.states_to_function(in_any_order(client, ids), client)
    on_conflict = client.random.choice(('error', 'skip'))
    cursor.execute("SELECT (key ->> 'id')::int, status, version FROM occ.update_safely('item', %s, %s, on_conflict => %s)",
                   [json.dumps([{**client.key(id), 'version': version} for id, _, version, _ in states]), json.dumps({'note': client.token()}), on_conflict])
    for new, id, incarnation, version, tokens in rows.answered(states, cursor.fetchall(), 'updated', on_conflict):
        rows.wrote(id, incarnation, new, tokens[:-1], None, version)


def touch_set(cursor, rows, client, ids):
    """occ.touch(): the version moves, and there is no token."""
    states = rows.states_to_function(in_any_order(client, ids), client)
    on_conflict = client.random.choice(('error', 'error', 'skip'))
    cursor.execute("SELECT (key ->> 'id')::int, status, version FROM occ.touch('item', %s, %s)",
                   [json.dumps([{**client.key(id), 'version': version} for id, _, version, _ in states]), on_conflict])
    for new, id, incarnation, version, tokens in rows.answered(states, cursor.fetchall(), 'updated', on_conflict):
        rows.wrote(id, incarnation, new, tokens[:-1], None, version)


def new_rows(states, client):
    """Those that are to be made if they are not there: their ids, incarnations, tokens as text, and versions."""
    return ([state[0] for state in states], [str(uuid.uuid4()) for _ in states], ['{' + ','.join(state[3]) + '}' for state in states],
            [client.fresh_version() for _ in states])


def take_merged(rows, states, to_make, found):
    """Which of the (id, incarnation, version) were made, which written?"""
    found = {id: (incarnation, version) for id, incarnation, version in found}
    for (id, _, version, tokens), made in zip(states, to_make[1]):
        incarnation, new = found.get(id, (None, None))
        if incarnation is None:
            rows.absent(id)
        elif incarnation == made:
            rows.made(id, incarnation, new, tokens)
        else:
            rows.wrote(id, incarnation, new, tokens, tokens[-1], version)


def upsert(cursor, rows, client, ids):
    """INSERT, or UPDATE with the version that was read.

    A new row starts at a version that no other had: with the one that was read, whoever has read the old row could write to it.
    """
    states = rows.states(ids, client)
    to_make = new_rows(states, client)
    cursor.execute("""INSERT INTO item AS i (id, incarnation, tokens, version)
                      SELECT id, incarnation, tokens::text[], version
                      FROM unnest(%s::int[], %s::uuid[], %s::text[], %s::KIND[]) AS v(id, incarnation, tokens, version)
                      ON CONFLICT (id) DO UPDATE SET tokens = excluded.tokens, version = (%s::jsonb ->> i.id::text)::KIND
                      RETURNING id, incarnation, version""".replace('KIND', client.versions.type),
                   [*to_make, json.dumps({id: version for id, _, version, _ in states})])
    take_merged(rows, states, to_make, cursor.fetchall())


def merge(cursor, rows, client, ids):
    """MERGE, which inserts what is not there.  It has no RETURNING before 17, so look: nobody else can write the rows by now."""
    if cursor.connection.server_version < 150000:
        return
    states = rows.states(ids, client)
    to_make = new_rows(states, client)
    cursor.execute("""MERGE INTO item AS i
                      USING unnest(%s::int[], %s::uuid[], %s::text[], %s::KIND[], %s::KIND[]) AS v(id, made, tokens, start, version)
                      ON i.id = v.id
                      WHEN MATCHED THEN UPDATE SET tokens = v.tokens::text[], version = v.version
                      WHEN NOT MATCHED THEN INSERT (id, incarnation, tokens, version) VALUES (v.id, v.made, v.tokens::text[], v.start)
                   """.replace('KIND', client.versions.type),
                   [*to_make, [state[2] for state in states]])
    count = cursor.rowcount
    cursor.execute('SELECT id, incarnation, version, tokens[cardinality(tokens)] FROM item WHERE id = ANY (%s)', [[state[0] for state in states]])
    last = {id: tokens[-1] for id, _, _, tokens in states}
    found = [row[:3] for row in cursor.fetchall() if row[3] == last[row[0]]]
    if len(found) != count:
        rows.entry['broken_merge'] = count, found
    take_merged(rows, states, to_make, found)


def move(cursor, rows, client, ids):
    """Give the row another id, which may be in another partition."""
    free = [id for id in client.ids if id not in rows.known]
    for id, _, version, tokens in rows.states(ids[:1], client):
        if not free or not client.versions.can_move(version):
            return
        new_id = client.random.choice(free)
        cursor.execute('UPDATE item SET id = %s, tokens = %s, version = %s WHERE id = %s RETURNING incarnation, version', [new_id, tokens, version, id])
        found = cursor.fetchall()
        for incarnation, new in found:
            rows.moved(id, new_id, incarnation, new, tokens, version)
        if not found:
            rows.absent(id)


def append(cursor, rows, client, ids):
    """State no version, or whichever there is: nothing is lost, since the statement reads what it writes."""
    rows.states([], client)
    token = client.token()
    if isinstance(client.versions, Counters):
        cursor.execute(f"""UPDATE item SET tokens = tokens || %s::text {', version = version' if client.strict else ''}
                           WHERE id = %s RETURNING incarnation, version, tokens, NULL""", [token, ids[0]])
    else:
        # Only a number tells which one was before it.
        cursor.execute("""UPDATE item AS i SET tokens = i.tokens || %s::text FROM (SELECT id, version FROM item WHERE id = %s FOR UPDATE) AS s
                          WHERE i.id = s.id RETURNING i.incarnation, i.version, i.tokens, s.version""", [token, ids[0]])
    for incarnation, new, tokens, read in cursor.fetchall():
        rows.wrote(ids[0], incarnation, new, tokens, token, read)


def retry(cursor, rows, client, ids):
    """occ.retry() in a transaction: the statement states what it reads, which may not be the newest when it comes to write.

    Where a transaction keeps its snapshot, that is of no use, and refused.
    """
    if rows.entry['level'] != 'read committed':
        return
    rows.states([], client)
    call_retry(cursor, rows, client, ids[0])


def call_retry(cursor, rows, client, id):
    token = client.token()
    # Whoever calls it does not know which version is stated.
    rows.stated[id] = None, None
    cursor.execute("""CALL occ.retry('UPDATE item AS i SET tokens = i.tokens || $2::text, version = s.version FROM (SELECT * FROM item) AS s
                                      WHERE i.id = $1 AND s.id = i.id RETURNING i.incarnation, i.version, i.tokens, s.version AS read',
                                     max_attempts => %s, base_delay => '1 ms', arguments => %s)""",
                   [client.random.choice((1, 3, 10)), json.dumps([id, token])])
    (_, row), = cursor.fetchall()
    if row is None:
        rows.absent(id)
    else:
        rows.wrote(id, row['incarnation'], row['version'], row['tokens'], token, row['read'])


def delete_set(cursor, rows, client, ids):
    """occ.delete().  What it skips was not to be put into "gone"."""
    states = rows.states_to_function(in_any_order(client, ids[:2]), client)
    on_conflict = client.random.choice(('error', 'skip'))
    cursor.execute("""INSERT INTO gone SELECT item.* FROM item JOIN unnest(%s::int[], %s::KIND[]) AS v(id, version) USING (id)
                      WHERE item.version = v.version RETURNING incarnation""".replace('KIND', client.versions.type),
                   [[state[0] for state in states], [state[2] for state in states]])
    left = {incarnation for incarnation, in cursor.fetchall()}
    cursor.execute("SELECT (key ->> 'id')::int, status, version FROM occ.delete('item', %s, %s)",
                   [json.dumps([{**client.key(id), 'version': version} for id, _, version, _ in states]), on_conflict])
    for _, id, incarnation, version, _ in rows.answered(states, cursor.fetchall(), 'deleted', on_conflict):
        rows.deleted(id, incarnation, version)
        left.discard(incarnation)
    cursor.execute('DELETE FROM gone WHERE incarnation = ANY (%s::uuid[])', [list(left)])


def delete_as_orms_do(cursor, rows, client, ids):
    """Compare in WHERE."""
    for id, incarnation, version, _ in rows.states(ids[:1], client):
        cursor.execute("""WITH deleted AS (DELETE FROM item WHERE id = %s AND version = %s RETURNING *)
                          INSERT INTO gone SELECT * FROM deleted""", [id, version])
        if cursor.rowcount == 1:
            rows.deleted(id, incarnation, version)
        else:
            rows.absent(id, rows.stated[id])


def make_again(cursor, rows, client, ids):
    """Insert what was deleted, at a version that no other had."""
    rows.states([], client)
    version = client.fresh_version()
    cursor.execute('INSERT INTO item (id, version) VALUES (%s, %s) ON CONFLICT (id) DO NOTHING RETURNING incarnation', [ids[0], version])
    for incarnation, in cursor.fetchall():
        rows.made(ids[0], incarnation, version, [])


def check(cursor, rows, client, ids):
    """What occ.check() has locked is still there when another row has been written."""
    states = rows.states_to_function(in_any_order(client, ids[1:]), client)
    cursor.execute("SELECT (key ->> 'id')::int, status, version FROM occ.check('item', %s, %s)",
                   [json.dumps([{**client.key(id), 'version': version} for id, _, version, _ in states]),
                    client.random.choice(('update', 'no key update', 'share'))])
    answer = cursor.fetchall()
    locked = [(id, version) for version, id, *_ in rows.answered(states, answer, 'checked')]
    append(cursor, rows, client, ids[:1])
    cursor.execute('SELECT id, version FROM item WHERE id = ANY (%s)', [[id for id, _ in locked]])
    if sorted(cursor.fetchall()) != sorted(locked):
        rows.entry['broken_check'] = locked


def save_next(cursor, rows, client, ids):
    """State the version after that which the row has, where that is a conflict: nobody can have read it."""
    rows.states([], client)
    cursor.execute('SELECT incarnation, version, tokens FROM item WHERE id = %s FOR UPDATE', [ids[0]])
    for incarnation, version, tokens in cursor.fetchall():
        stated = client.versions.next(version)
        rows.stated[ids[0]] = incarnation, stated
        tokens.append(client.token())
        cursor.execute('UPDATE item SET tokens = %s, version = %s WHERE id = %s RETURNING version', [tokens, stated, ids[0]])
        for new, in cursor.fetchall():
            rows.wrote(ids[0], incarnation, new, tokens, tokens[-1], stated)


FORBIDDEN = (
    'UPDATE item SET note = NULL WHERE id = %(id)s',
    'UPDATE item SET id = id + 100 WHERE id = %(id)s',
    'WITH u AS (UPDATE item SET note = NULL WHERE id = %(id)s RETURNING id) SELECT id FROM u',
    'DELETE FROM item WHERE id = %(id)s',
    'WITH d AS (DELETE FROM item WHERE id = %(id)s RETURNING id) SELECT id FROM d',
    'MERGE INTO item USING (VALUES (%(id)s)) AS v(i) ON id = i WHEN MATCHED AND false THEN UPDATE SET version = item.version '
    'WHEN MATCHED THEN UPDATE SET note = NULL',
)


def write_unproven(cursor, rows, client, ids):
    """Writes that tell nothing of what was read, where they are refused."""
    rows.states([], client)
    statement = client.random.choice(FORBIDDEN)
    cursor.execute('SAVEPOINT forbidden')
    try:
        cursor.execute(statement, {'id': ids[0]})
        if cursor.rowcount > 0:
            rows.entry['unproven'] = statement
    except psycopg2.Error as error:
        if error.pgcode != 'PT428':
            raise
        rows.entry['forbidden'] = rows.entry.get('forbidden', 0) + 1
    cursor.execute('ROLLBACK TO forbidden; RELEASE forbidden')


MAKE_AGAIN = (move, delete_set, delete_as_orms_do, make_again)
OPERATIONS = (save, save, save, save, save_nothing, save_or_tell, save_locked, save_at_cursor, save_with_etag,
              save_as_orms_do, save_several, save_several, update_set, update_set, update_safely, update_several_safely,
              touch_set, upsert, merge, move, append, retry, delete_set, delete_as_orms_do, make_again, make_again, make_again, check)

# A preset that is strict refuses some, and there is more to refuse.
STRICT_OPERATIONS = (*(o for o in OPERATIONS if o is not delete_as_orms_do), save_next, write_unproven)
