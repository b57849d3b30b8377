"""For the tests of Python's clients: TAP, a second service, and the same table without its guard."""
import re
import sys
from pathlib import Path

import psycopg2

tests = failures = 0


def ok(passed, what):
    global tests, failures
    tests += 1
    failures += not passed
    print(f'{"ok" if passed else "not ok"} {tests} - {what}', flush=True)


def same(got, wanted, what):
    ok(got == wanted, what)
    if got != wanted:
        print(f'got    {got!r}\nwanted {wanted!r}')


def raised(function, *arguments, **named):
    """The exception that a function raises, or None."""
    try:
        function(*arguments, **named)
    except Exception as error:
        return error
    return None


second_service = psycopg2.connect('')
second_service.autocommit = True


def sql(statement):
    """A second service, which knows nothing of this one's framework: the rows as psql -At prints them, or a refusal."""
    with second_service.cursor() as cursor:
        try:
            cursor.execute(statement)
        except psycopg2.Error as error:
            if error.pgcode not in ('PT409', 'PT428'):
                raise
            return f'{error.pgcode}: {error}'
        rows = cursor.fetchall() if cursor.description else []
    return '\n'.join('|'.join('' if value is None else str(value) for value in row) for row in rows)


def guards(state):
    sql(f"""DO $$ DECLARE t regclass; BEGIN
                FOR t IN SELECT table_name FROM occ.tables LOOP
                    EXECUTE format('ALTER TABLE %s {state} TRIGGER _occ_guard', t);
                END LOOP;
            END $$""")


def closed(what, lost):
    """A function that returns whether an update was lost: not with the guard, but without it."""
    ok(not lost(), what)
    guards('DISABLE')
    ok(lost(), f'{what} (lost without the guard)')
    guards('ENABLE')


def done(page, *rows):
    """Hold the page to this program: each block of code in it is in here."""
    text = Path(__file__).parents[2].joinpath('docs/clients', page).read_text(encoding='utf-8')
    program = Path(sys.argv[0]).read_text(encoding='utf-8')
    for block in re.findall(r'^```(?:python|sql)\n(.*?)^```', text, re.M | re.S):
        # A definition is as it stands here; of what runs within something, only the indentation differs.
        lines = block.splitlines()
        ok(all(line.strip() in program for line in lines), f'the page has {lines[0]!r} from here')
    print(f'1..{tests}')
    if not failures:
        for row in rows:
            print(f'# table: {row}')
    sys.exit(failures > 0)
