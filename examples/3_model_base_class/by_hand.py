"""A base class that versions its rows, as applications write it: update WHERE version is still what was read."""
import time

from django.db import models

from models import ArticleTable, PageTable


def version_after(version):
    if isinstance(version, int):
        return version + 1
    if isinstance(version, float):
        return time.time()
    raise ValueError(f'a version must be an integer or a float, not {version!r}')


class VersionedModel(models.Model):
    class Meta:
        abstract = True

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._remember()

    def _remember(self):
        self._read = {field.attname: vars(self).get(field.attname) for field in self._meta.concrete_fields}

    def save(self, **kwargs):
        if not self._state.adding:
            # With update_fields, Django raises DatabaseError if no row matches.
            kwargs['update_fields'] = [name for name, value in self._read.items() if vars(self).get(name) != value]
        super().save(**kwargs)
        self._remember()

    def _do_update(self, base_qs, using, pk_val, values, update_fields, forced_update):
        version = self._read['version']
        if update_fields and version:
            base_qs = base_qs.filter(version=version)
            values.append((self._meta.get_field('version'), None, version_after(version)))
        return super()._do_update(base_qs, using, pk_val, values, update_fields, forced_update)


class Article(VersionedModel, ArticleTable):
    class Meta(ArticleTable.Meta):
        app_label = 'by_hand'


class Page(VersionedModel, PageTable):
    class Meta(PageTable.Meta):
        app_label = 'by_hand'
