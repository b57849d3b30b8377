"""What the soak's clients do with rows, and how it is written down."""
import json
import time
import uuid


class Rows:
    """The rows as a transaction knows them, and its entry in the log."""

    def __init__(self, known, entry):
        self.known, self.entry = known, entry
        self.started = time.monotonic()
        self.read = {}

    def states(self, ids, client):
        """(id, incarnation, version, tokens with a new one) of those that are known; what is stated next."""
        self.started = time.monotonic()
        self.read = {id: self.known[id] for id in ids if id in self.known}
        return [(id, incarnation, version, tokens + [client.token()])
                for id, (incarnation, version, tokens) in self.read.items()]

    def wrote(self, id, incarnation, version, tokens, token=None, read=None):
        """A row that was written: read is the version that was stated, or None if none was."""
        self.entry['writes'].append({'id': id, 'incarnation': incarnation, 'read': read, 'new': version, 'token': token})
        self.known[id] = incarnation, version, tokens

    def made(self, id, incarnation, version, tokens):
        self.entry['writes'].append({'id': id, 'incarnation': incarnation, 'start': version, 'tokens': tokens})
        self.known[id] = incarnation, version, tokens

    def deleted(self, id, incarnation, version):
        self.entry['writes'].append({'id': id, 'incarnation': incarnation, 'read': version, 'deleted': True})
        self.known.pop(id, None)

    def absent(self, id):
        """A row that was to be saved, and was not there: no error, and nothing was written."""
        deleted = any(write.get('deleted') and write['id'] == id for write in self.entry['writes'])
        self.entry['absent'].append({'id': id, 'own_deleted': deleted, 'to': time.monotonic()})

    def refused(self, error):
        if error.pgcode != 'PT409':
            return
        detail = json.loads(error.diag.message_detail)
        own = {write['id']: write.get('new', write.get('start')) for write in self.entry['writes']}
        deleted = [write['id'] for write in self.entry['writes'] if write.get('deleted')]
        for row in detail['rows']:
            id = row['key']['id']
            self.entry['refusals'].append({
                'id': id, 'status': row['status'], 'expected': row['expected'], 'actual': row['actual'],
                'incarnation': self.read[id][0] if id in self.read else None, 'own': own.get(id), 'own_deleted': id in deleted,
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
        for incarnation, new in cursor.fetchall():
            rows.wrote(id, incarnation, new, tokens, tokens[-1], version)


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
    states = rows.states(ids, client)
    on_conflict = client.random.choice(('error', 'error', 'skip'))
    cursor.execute("SELECT (key ->> 'id')::int, status, version::int FROM occ.update('item', %s, %s)",
                   [json.dumps([{'id': id, 'version': version, 'tokens': tokens} for id, _, version, tokens in states]), on_conflict])
    for (id, status, new), (_, incarnation, version, tokens) in zip(cursor.fetchall(), states):
        if status == 'updated':
            rows.wrote(id, incarnation, new, tokens, tokens[-1], version)


def touch_set(cursor, rows, client, ids):
    """occ.touch(): the version moves, and there is no token."""
    states = rows.states(ids, client)
    cursor.execute("SELECT (key ->> 'id')::int, version::int FROM occ.touch('item', %s)",
                   [json.dumps([{'id': id, 'version': version} for id, _, version, _ in states])])
    for (id, new), (_, incarnation, version, tokens) in zip(cursor.fetchall(), states):
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
        (incarnation, new), = cursor.fetchall()
        if incarnation == made:
            rows.made(id, incarnation, new, tokens)
        else:
            rows.wrote(id, incarnation, new, tokens, tokens[-1], version)


def merge(cursor, rows, client, ids):
    """MERGE, which before 17 has no RETURNING: after a stated version comes the next one."""
    if cursor.connection.server_version < 150000:
        return
    for id, incarnation, version, tokens in rows.states(ids[:1], client):
        cursor.execute("""MERGE INTO item AS i USING (VALUES (%s, %s::text[], %s)) AS v(id, tokens, version) ON i.id = v.id
                          WHEN MATCHED THEN UPDATE SET tokens = v.tokens, version = v.version""", [id, tokens, version])
        if cursor.rowcount == 1:
            rows.wrote(id, incarnation, version + 1, tokens, tokens[-1], version)
        else:
            rows.absent(id)


def append(cursor, rows, client, ids):
    """State no version: nothing is lost, since the statement reads what it writes."""
    rows.states([], client)
    token = client.token()
    cursor.execute('UPDATE item SET tokens = tokens || %s::text WHERE id = %s RETURNING incarnation, version, tokens', [token, ids[0]])
    for incarnation, new, tokens in cursor.fetchall():
        rows.wrote(ids[0], incarnation, new, tokens, token)


def delete_set(cursor, rows, client, ids):
    """occ.delete()."""
    for id, incarnation, version, _ in rows.states(ids[:1], client):
        cursor.execute('INSERT INTO gone SELECT * FROM item WHERE id = %s AND version = %s', [id, version])
        cursor.execute("SELECT status FROM occ.delete('item', %s)", [json.dumps({'id': id, 'version': version})])
        rows.deleted(id, incarnation, version)


def make_again(cursor, rows, client, ids):
    """Insert what was deleted, at a version that no other had."""
    rows.states([], client)
    version = client.fresh_version()
    cursor.execute('INSERT INTO item (id, version) VALUES (%s, %s) ON CONFLICT (id) DO NOTHING RETURNING incarnation', [ids[0], version])
    for incarnation, in cursor.fetchall():
        rows.made(ids[0], incarnation, version, [])


def check(cursor, rows, client, ids):
    """What occ.check() has locked is still there when another row has been written."""
    states = rows.states(ids[1:], client)
    cursor.execute("SELECT (key ->> 'id')::int, version::int FROM occ.check('item', %s)",
                   [json.dumps([{'id': id, 'version': version} for id, _, version, _ in states])])
    locked = cursor.fetchall()
    append(cursor, rows, client, ids[:1])
    cursor.execute('SELECT id, version FROM item WHERE id = ANY (%s)', [[id for id, _ in locked]])
    if sorted(cursor.fetchall()) != sorted(locked):
        rows.entry['broken_check'] = locked


OPERATIONS = (save, save, save, save_as_orms_do, save_several, save_several, update_set, update_set, touch_set, upsert, merge, append,
              delete_set, make_again, make_again, check)
