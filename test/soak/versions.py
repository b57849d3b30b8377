"""What kinds of versions there are, as clients and checker know them: numbers, and the texts that JSON has of all others."""
import uuid



def canonical(text):
    """A version from the text of it."""
    if not isinstance(text, str):
        return text
    if text.isdigit():
        return int(text)
    try:
        return float(text)
    except ValueError:
        return text


def is_counter(version):
    """Is it followed by the next number?"""
    return isinstance(version, int)


class Counters:
    can_be_made_again = True

    def __init__(self, type, last):
        self.type, self.last = type, last

    def fresh(self, random):
        """A version that no other row had, and that it takes long to get away from."""
        return random.randrange(10 ** 6, 10 ** 9)

    def next(self, version):
        """A counter goes on from 1."""
        return 1 if version == self.last else version + 1

    def can_move(self, version):
        """Rows that wrap have versions that others have, too: whoever has read one of those could write to the one that takes its id."""
        return 10 ** 6 <= version <= 10 ** 9 + 10 ** 6


class SmallCounters(Counters):
    """There are too few for rows to be made again."""
    can_be_made_again = False

    def fresh(self, random):
        return 1


class Uuids:
    type = 'uuid'
    can_be_made_again = True

    def fresh(self, random):
        return str(uuid.UUID(int=random.getrandbits(128), version=4))

    def next(self, version):
        """Nobody knows."""
        return version

    def can_move(self, version):
        return bool(version)


class Times:
    """A later one than that of a row counts as a clock's stamp, so rows stay where they are and are made only once."""
    can_be_made_again = False

    def __init__(self, type):
        self.type = type

    def fresh(self, _):
        """Of use for nothing but the statement's form."""
        return 1.5 if self.type == 'double precision' else '1999-01-01T00:00:00'

    def next(self, version):
        return version

    def can_move(self, _):
        return False


COUNTERS = (SmallCounters('smallint', 2 ** 15 - 1), Counters('int', 2 ** 31 - 1), Counters('bigint', 2 ** 63 - 1))
KINDS = {kind.type: kind for kind in (*COUNTERS, Uuids(), Times('timestamp'), Times('timestamptz'), Times('double precision'))}


def last_number(first):
    """The one after which a counter goes on from 1, if that was the first of a row.  Only those that start a few before it get there."""
    return next((kind.last for kind in COUNTERS if isinstance(first, int) and kind.last - 100 < first <= kind.last), None)
