from django.db import models


class Product(models.Model):
    name = models.TextField()
    stock = models.IntegerField()
    version = models.BigIntegerField(default=1)

    class Meta:
        app_label = 'shop'
        db_table = 'product'
        managed = False


class Order(models.Model):
    id = models.AutoField(primary_key=True)
    product = models.ForeignKey(Product, models.PROTECT)
    quantity = models.IntegerField()
    status = models.TextField(default='placed')
    version = models.BigIntegerField(default=1)

    class Meta:
        app_label = 'shop'
        db_table = 'orders'
        managed = False
