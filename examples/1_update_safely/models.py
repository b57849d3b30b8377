from django.db import models


class Product(models.Model):
    name = models.TextField()
    price = models.IntegerField()
    stock = models.IntegerField()
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        app_label = 'shop'
        db_table = 'product'
        managed = False
