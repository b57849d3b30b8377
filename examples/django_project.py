"""Django's settings in the examples.  The database is the one that PGHOST, PGPORT, PGUSER and PGDATABASE name."""
import os

import django
from django.conf import settings


def configure(**others):
    settings.configure(
        DATABASES={'default': {
            'ENGINE': 'django.db.backends.postgresql',
            'NAME': os.environ['PGDATABASE'],
            'HOST': os.environ.get('PGHOST', ''),
            'PORT': os.environ.get('PGPORT', ''),
            'USER': os.environ.get('PGUSER', ''),
        }},
        DEFAULT_AUTO_FIELD='django.db.models.BigAutoField',
        SECRET_KEY='only for tests',
        USE_TZ=True,
        **others,
    )
    django.setup()
