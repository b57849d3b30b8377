"""For the tests of Python's clients: TAP, a second service, and the same table without its guard."""
import re
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

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


def sql(statement):
    """A second service, which knows nothing of this one's framework: what psql prints."""
    done = subprocess.run(['psql', '-XqAt', '-v', 'ON_ERROR_STOP=1', '-v', 'VERBOSITY=verbose', '-c', statement],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding='utf-8')
    return done.stdout.strip()


@contextmanager
def unguarded():
    tables = sql('SELECT table_name FROM occ.tables').split()
    for table in tables:
        sql(f'ALTER TABLE {table} DISABLE TRIGGER _occ_guard')
    yield
    for table in tables:
        sql(f'ALTER TABLE {table} ENABLE TRIGGER _occ_guard')


def closed(what, lost):
    """A function that returns whether an update was lost: not with the guard, but without it."""
    ok(not lost(), what)
    with unguarded():
        ok(lost(), f'{what} (lost without the guard)')


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
