from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('ecc', '0002_cancel'),
    ]

    operations = [
        migrations.CreateModel(
            name='EccWriter',
            fields=[
                ('writer', models.CharField(max_length=32, primary_key=True, serialize=False, verbose_name='Writer')),
                ('mark', models.CharField(default='', max_length=32, verbose_name='Mark')),
                ('seen', models.BigIntegerField(default=0, verbose_name='Seen (µs)')),
            ],
            options={
                'db_table': 'ecc_writer',
            },
        ),
    ]
