"""What kinds of versions there are, as clients and checker know them: numbers, and the texts that JSON has of all others."""
import uuid

# A counter goes on from 1 then.
WRAPS_AFTER = 2 ** 31 - 1


def canonical(text):
    """A version from the text of it."""
    return int(text) if isinstance(text, str) and text.isdigit() else text


def is_counter(version):
    """Is it followed by the next number?"""
    return isinstance(version, int)


class Counters:
    type = 'int'
    can_be_made_again = True

    def fresh(self, random):
        """A version that no other row had, and that it takes long to get away from."""
        return random.randrange(10 ** 6, 10 ** 9)

    def next(self, version):
        return 1 if version == WRAPS_AFTER else version + 1

    def can_move(self, version):
        """Rows that wrap have versions that others have, too: whoever has read one of those could write to the one that takes its id."""
        return 10 ** 6 <= version <= 10 ** 9 + 10 ** 6


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
    type = 'timestamptz'
    can_be_made_again = False

    def fresh(self, random):
        return f'{random.randrange(1971, 1999)}-01-01T00:00:00+00:00'

    def next(self, version):
        return version

    def can_move(self, _):
        return False


KINDS = {kind.type: kind for kind in (Counters, Uuids, Times)}
