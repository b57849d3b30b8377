"""The tables.  by_hand.py and with_occ.py make models of them, each with its own base class."""
import time

from django.db import models


class ArticleTable(models.Model):
    title = models.TextField()
    body = models.TextField()
    version = models.IntegerField(default=1)

    class Meta:
        abstract = True
        db_table = 'article'
        managed = False


class PageTable(models.Model):
    title = models.TextField()
    body = models.TextField()
    version = models.FloatField(default=time.time)

    class Meta:
        abstract = True
        db_table = 'page'
        managed = False
