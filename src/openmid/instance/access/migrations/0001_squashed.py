"""What the migrations that it replaces come to, for a database that has none of them; one that has some runs the rest."""

import django.db.models.deletion
import django.utils.timezone
import openmid.instance.records.base
import openmid.instance.records.secrets
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    replaces = [('access', '0001_initial'), ('access', '0002_scopes_and_expiry'), ('access', '0003_second_factor')]

    initial = True

    dependencies = [
        ('auth', '0012_alter_user_first_name_max_length'),  # first, while no table of ours refers to users: that is quicker
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='ApiToken',
            fields=[
                ('sys_id', models.CharField(default=openmid.instance.records.base.new_sys_id, editable=False, max_length=32, primary_key=True, serialize=False, verbose_name='Sys ID')),
                ('sys_created_on', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='Created')),
                ('sys_created_by', models.CharField(default='', editable=False, max_length=150, verbose_name='Created by')),
                ('sys_updated_on', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='Updated')),
                ('sys_updated_by', models.CharField(default='', editable=False, max_length=150, verbose_name='Updated by')),
                ('sys_mod_count', models.PositiveIntegerField(default=0, editable=False, verbose_name='Updates')),
                ('name', models.CharField(max_length=80, unique=True, verbose_name='Name')),
                ('token_hash', models.CharField(editable=False, max_length=64, unique=True)),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL)),
                ('expires', models.BigIntegerField(blank=True, null=True, verbose_name='Expires (µs)')),
                ('scope', models.CharField(choices=[('full', 'Everything that the user may'), ('run', 'Start, follow and cancel executions'), ('read', 'Read')], default='full', max_length=8, verbose_name='Scope')),
            ],
            options={
                'verbose_name': 'API token',
                'db_table': 'api_token',
                'ordering': ('name',),
            },
        ),
        migrations.CreateModel(
            name='TotpDevice',
            fields=[
                ('sys_id', models.CharField(default=openmid.instance.records.base.new_sys_id, editable=False, max_length=32, primary_key=True, serialize=False, verbose_name='Sys ID')),
                ('sys_created_on', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='Created')),
                ('sys_created_by', models.CharField(default='', editable=False, max_length=150, verbose_name='Created by')),
                ('sys_updated_on', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='Updated')),
                ('sys_updated_by', models.CharField(default='', editable=False, max_length=150, verbose_name='Updated by')),
                ('sys_mod_count', models.PositiveIntegerField(default=0, editable=False, verbose_name='Updates')),
                ('secret', openmid.instance.records.secrets.EncryptedField(verbose_name='Secret')),
                ('recovery', openmid.instance.records.secrets.EncryptedField(default='[]', verbose_name='Recovery codes')),
                ('confirmed', models.BooleanField(default=False, verbose_name='Confirmed')),
                ('last_step', models.BigIntegerField(default=0, verbose_name='Last step')),
                ('spent', models.PositiveIntegerField(default=0, verbose_name='Recovery codes spent')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name': 'second factor',
                'db_table': 'totp_device',
                'constraints': [models.UniqueConstraint(fields=('user', 'confirmed'), name='one_second_factor')],
            },
        ),
    ]
