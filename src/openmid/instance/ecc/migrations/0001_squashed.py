"""What the migrations that it replaces come to, for a database that has none of them; one that has some runs the rest."""

from django.db import migrations, models


class Migration(migrations.Migration):

    replaces = [('ecc', '0001_initial'), ('ecc', '0002_cancel'), ('ecc', '0003_writer')]

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='EccQueueItem',
            fields=[
                ('sys_id', models.CharField(max_length=32, primary_key=True, serialize=False, verbose_name='Sys ID')),
                ('sys_created_on', models.BigIntegerField(verbose_name='Created (µs)')),
                ('sys_updated_on', models.BigIntegerField(verbose_name='Updated (µs)')),
                ('agent', models.CharField(max_length=92, verbose_name='Agent')),
                ('mid_server', models.CharField(max_length=32, verbose_name='MID Server')),
                ('topic', models.CharField(max_length=40, verbose_name='Topic')),
                ('name', models.CharField(max_length=255, verbose_name='Name')),
                ('source', models.CharField(default='', max_length=255, verbose_name='Source')),
                ('queue', models.CharField(max_length=8, verbose_name='Queue')),
                ('state', models.CharField(max_length=12, verbose_name='State')),
                ('priority', models.SmallIntegerField(default=2, verbose_name='Priority')),
                ('sequence', models.BigIntegerField(verbose_name='Sequence')),
                ('payload', models.TextField(verbose_name='Payload')),
                ('agent_correlator', models.CharField(default='', max_length=64, verbose_name='Agent correlator')),
                ('response_to', models.CharField(default='', max_length=32, verbose_name='Response to')),
                ('error_string', models.TextField(default='', verbose_name='Error string')),
                ('processed', models.BigIntegerField(null=True, verbose_name='Processed (µs)')),
                ('idempotent', models.SmallIntegerField(default=0, verbose_name='Idempotent')),
                ('timeout_us', models.BigIntegerField(default=0, verbose_name='Timeout (µs)')),
                ('attempts', models.SmallIntegerField(default=0, verbose_name='Attempts')),
                ('lease', models.CharField(default='', max_length=32, verbose_name='Lease')),
                ('lease_until', models.BigIntegerField(null=True, verbose_name='Lease until (µs)')),
                ('cancel', models.SmallIntegerField(default=0, verbose_name='Cancel')),
            ],
            options={
                'verbose_name': 'ECC queue item',
                'verbose_name_plural': 'ECC queue',
                'db_table': 'ecc_queue',
                'ordering': ('-sys_created_on',),
                'indexes': [models.Index(condition=models.Q(('queue', 'output'), ('state', 'ready')), fields=['mid_server', 'priority', 'sequence'], name='ecc_queue_ready'), models.Index(condition=models.Q(('queue', 'output'), ('state', 'processing')), fields=['lease_until'], name='ecc_queue_leases'), models.Index(condition=models.Q(('queue', 'input')), fields=['response_to'], name='ecc_queue_responses'), models.Index(fields=['sys_created_on'], name='ecc_queue_created'), models.Index(condition=models.Q(('cancel', 1), ('queue', 'output'), ('state', 'processing')), fields=['mid_server'], name='ecc_queue_cancelled')],
            },
        ),
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
