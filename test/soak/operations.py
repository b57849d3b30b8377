"""What the soak's clients do with rows, and how it is written down."""
import json
import time
import uuid


class Rows:
    """The rows as a transaction knows them, and its entry in the log."""

    def __init__(self, known, entry):
        self.known, self.entry = known, entry
        self.operation = None       # its name
        self.states([], None)

    def states(self, ids, client):
        """(id, incarnation, version, tokens with a new one) of those that are known; what is stated next."""
        self.started = time.monotonic()
        self.names_missing = False
        rows = {id: self.known[id] for id in ids if id in self.known}
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

    def absent(self, id, compared=None):
        """A row that was to be written, and was not found, or not at the (incarnation, version) that was compared: no error."""
        incarnation, version = compared or (None, None)
        self.entry['absent'].append({'by': self.operation, 'id': id, 'incarnation': incarnation, 'version': version,
                                     'own_deleted': id in self.own_deleted(), 'from': self.started, 'to': time.monotonic()})

    def own_deleted(self):
        return [write['id'] for write in self.entry['writes'] if write.get('deleted')]

    def refused(self, error):
        if error.pgcode != 'PT409':
            return
        detail = json.loads(error.diag.message_detail)
        self.told([{**row, 'id': row['key']['id']} for row in detail['rows']], detail['ids'], detail['conflicts'])

    def told(self, rows, ids, count):
        """Rows that an error, or the result of a function, says are stale or missing."""
        self.entry['refusals'].append({
            'by': self.operation, 'rows': [{name: row[name] for name in ('id', 'status', 'expected', 'actual')} for row in rows],
            'ids': ids, 'count': count, 'stated': self.stated, 'names_missing': self.names_missing,
            'own': {write['id']: write.get('new', write.get('start')) for write in self.entry['writes']}, 'own_deleted': self.own_deleted(),
            'from': self.started, 'to': time.monotonic()})


def save(cursor, rows, client, ids):
    """State the version that was read."""
    for id, _, version, tokens in rows.states(ids[:1], client):
        cursor.execute('UPDATE item SET tokens = %s, version = %s WHERE id = %s RETURNING incarnation, version', [tokens, version, id])
        found = cursor.fetchall()
        for incarnation, new in found:
            rows.wrote(id, incarnation, new, tokens, tokens[-1], version)
        if not found:
            rows.absent(id)


def save_as_orms_do(cursor, rows, client, ids):
    """Compare in WHERE, and write the next version."""
    for id, _, version, tokens in rows.states(ids[:1], client):
        cursor.execute('UPDATE item SET tokens = %s, version = %s WHERE id = %s AND version = %s RETURNING incarnation, version',
                       [tokens, version + 1, id, version])
        found = cursor.fetchall()
        for incarnation, new in found:
            rows.wrote(id, incarnation, new, tokens, tokens[-1], version)
        if not found:
            rows.absent(id, rows.stated[id])


def save_several(cursor, rows, client, ids):
    """One statement, many rows."""
    states = rows.states(ids, client)
    cursor.execute("""UPDATE item AS i SET tokens = v.tokens::text[], version = v.version
                      FROM unnest(%s::int[], %s::text[], %s::int[]) AS v(id, tokens, version) WHERE i.id = v.id
                      RETURNING i.id, i.incarnation, i.version""",
                   [[state[0] for state in states], ['{' + ','.join(state[3]) + '}' for state in states], [state[2] for state in states]])
    by_id = {state[0]: state for state in states}
    found = cursor.fetchall()
    for id, incarnation, new in found:
        rows.wrote(id, incarnation, new, by_id[id][3], by_id[id][3][-1], by_id[id][2])
    for id in by_id.keys() - {row[0] for row in found}:
        rows.absent(id)


def update_set(cursor, rows, client, ids):
    """occ.update(), all or nothing or what can be written."""
    states = rows.states_to_function(ids, client)
    on_conflict = client.random.choice(('error', 'error', 'skip'))
    cursor.execute("SELECT (key ->> 'id')::int, status, version::int FROM occ.update('item', %s, %s)",
                   [json.dumps([{'id': id, 'version': version, 'tokens': tokens} for id, _, version, tokens in states]), on_conflict])
    skipped = []
    for (id, status, new), (_, incarnation, version, tokens) in zip(cursor.fetchall(), states, strict=True):
        if status == 'updated':
            rows.wrote(id, incarnation, new, tokens, tokens[-1], version)
        else:
            skipped.append({'id': id, 'status': status, 'expected': version, 'actual': new})
    if states and on_conflict == 'skip':
        rows.told(skipped, [row['id'] for row in skipped], len(skipped))


def update_safely(cursor, rows, client, ids):
    """occ.update_safely(), on the version; or on what else tells one state of a row from another."""
    for id, incarnation, version, tokens in rows.states_to_function(ids[:1], client):
        read = {'incarnation': incarnation, 'tokens': tokens[:-1]}
        by_value = client.random.random() < 0.3
        if by_value:
            # Errors have arrays as text.
            rows.stated[id] = incarnation, {**read, 'tokens': '{' + ','.join(tokens[:-1]) + '}'}
        cursor.execute("SELECT version::int FROM occ.update_safely('item', %s, %s, %s)",
                       [json.dumps({'id': id, 'version': version, **read}), json.dumps({'tokens': tokens}), list(read) if by_value else None])
        (new,), = cursor.fetchall()
        rows.wrote(id, incarnation, new, tokens, tokens[-1], None if by_value else version)


def touch_set(cursor, rows, client, ids):
    """occ.touch(): the version moves, and there is no token."""
    states = rows.states_to_function(ids, client)
    cursor.execute("SELECT (key ->> 'id')::int, version::int FROM occ.touch('item', %s)",
                   [json.dumps([{'id': id, 'version': version} for id, _, version, _ in states])])
    for (id, new), (_, incarnation, version, tokens) in zip(cursor.fetchall(), states, strict=True):
        rows.wrote(id, incarnation, new, tokens[:-1], None, version)


def upsert(cursor, rows, client, ids):
    """INSERT, or UPDATE with the version that was read.

    A new row starts at a version that no other had: with the one that was read, whoever has read the old row could write to it.
    """
    for id, _, version, tokens in rows.states(ids[:1], client):
        made = str(uuid.uuid4())
        cursor.execute("""INSERT INTO item AS i (id, incarnation, tokens, version) VALUES (%s, %s, %s, %s)
                          ON CONFLICT (id) DO UPDATE SET tokens = excluded.tokens, version = %s
                          RETURNING incarnation, version""", [id, made, tokens, client.fresh_version(), version])
        found = cursor.fetchall()
        for incarnation, new in found:
            if incarnation == made:
                rows.made(id, incarnation, new, tokens)
            else:
                rows.wrote(id, incarnation, new, tokens, tokens[-1], version)
        if not found:
            rows.absent(id)


def merge(cursor, rows, client, ids):
    """MERGE, which inserts what is not there.  It has no RETURNING before 17, so look: nobody else can write the row by now."""
    if cursor.connection.server_version < 150000:
        return
    for id, _, version, tokens in rows.states(ids[:1], client):
        made = str(uuid.uuid4())
        cursor.execute("""MERGE INTO item AS i USING (VALUES (%s, %s::uuid, %s::text[], %s, %s)) AS v(id, made, tokens, version, start)
                          ON i.id = v.id
                          WHEN MATCHED THEN UPDATE SET tokens = v.tokens, version = v.version
                          WHEN NOT MATCHED THEN INSERT (id, incarnation, tokens, version) VALUES (v.id, v.made, v.tokens, v.start)""",
                       [id, made, tokens, version, client.fresh_version()])
        if cursor.rowcount != 1:
            rows.absent(id)
            continue
        cursor.execute('SELECT incarnation, version FROM item WHERE id = %s', [id])
        (incarnation, new), = cursor.fetchall()
        if incarnation == made:
            rows.made(id, incarnation, new, tokens)
        else:
            rows.wrote(id, incarnation, new, tokens, tokens[-1], version)


def append(cursor, rows, client, ids):
    """State no version: nothing is lost, since the statement reads what it writes."""
    rows.states([], client)
    token = client.token()
    cursor.execute('UPDATE item SET tokens = tokens || %s::text WHERE id = %s RETURNING incarnation, version, tokens', [token, ids[0]])
    for incarnation, new, tokens in cursor.fetchall():
        rows.wrote(ids[0], incarnation, new, tokens, token)


def delete_set(cursor, rows, client, ids):
    """occ.delete()."""
    for id, incarnation, version, _ in rows.states_to_function(ids[:1], client):
        cursor.execute('INSERT INTO gone SELECT * FROM item WHERE id = %s AND version = %s', [id, version])
        cursor.execute("SELECT status FROM occ.delete('item', %s)", [json.dumps({'id': id, 'version': version})])
        rows.deleted(id, incarnation, version)


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
    states = rows.states_to_function(ids[1:], client)
    cursor.execute("SELECT (key ->> 'id')::int, version::int FROM occ.check('item', %s, %s)",
                   [json.dumps([{'id': id, 'version': version} for id, _, version, _ in states]),
                    client.random.choice(('update', 'no key update', 'share'))])
    locked = cursor.fetchall()
    append(cursor, rows, client, ids[:1])
    cursor.execute('SELECT id, version FROM item WHERE id = ANY (%s)', [[id for id, _ in locked]])
    if sorted(cursor.fetchall()) != sorted(locked):
        rows.entry['broken_check'] = locked


OPERATIONS = (save, save, save, save_as_orms_do, save_several, save_several, update_set, update_set, update_safely, touch_set, upsert, merge,
              append, delete_set, delete_as_orms_do, make_again, make_again, make_again, check)
