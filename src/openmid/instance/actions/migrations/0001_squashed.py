"""What the migrations that it replaces come to, for a database that has none of them; one that has some runs the rest.

Nothing is sealed here (0008): a new database holds nothing. PostgreSQL keeps the constraints of an older `action_step` under
the names that they got when the table was `rest_step`; nothing goes by those names.
"""

import django.core.validators
import django.db.models.deletion
import django.utils.timezone
import openmid.instance.actions.pills
import openmid.instance.actions.validation
import openmid.instance.connections.header_fields
import openmid.instance.records.base
import openmid.instance.records.header_secrets
from django.db import migrations, models


class Migration(migrations.Migration):

    replaces = [('actions', '0001_initial'), ('actions', '0002_ad_hoc_and_priority'), ('actions', '0003_step_options'), ('actions', '0004_step'), ('actions', '0005_studio'), ('actions', '0006_retry_failures'), ('actions', '0007_sealed_headers'), ('actions', '0008_seal_headers')]

    initial = True

    dependencies = [
        ('audit', '0002_append_only'),
        ('connections', '0001_initial'),
        ('connections', '0003_sealed_headers'),
        ('ecc', '0003_writer'),
    ]

    operations = [
        migrations.CreateModel(
            name='Action',
            fields=[
                ('sys_id', models.CharField(default=openmid.instance.records.base.new_sys_id, editable=False, max_length=32, primary_key=True, serialize=False, verbose_name='Sys ID')),
                ('sys_created_on', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='Created')),
                ('sys_created_by', models.CharField(default='', editable=False, max_length=150, verbose_name='Created by')),
                ('sys_updated_on', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='Updated')),
                ('sys_updated_by', models.CharField(default='', editable=False, max_length=150, verbose_name='Updated by')),
                ('sys_mod_count', models.PositiveIntegerField(default=0, editable=False, verbose_name='Updates')),
                ('name', models.CharField(error_messages={'unique': 'An action with this name exists already.'}, max_length=80, unique=True, validators=[django.core.validators.RegexValidator('\\A[A-Za-z0-9_][A-Za-z0-9_ .-]*\\Z', "An action's name has letters, digits, spaces, underscore, dot and hyphen.")], verbose_name='Action name')),
                ('description', models.TextField(blank=True, default='', verbose_name='Description')),
                ('inputs', models.JSONField(blank=True, default=list, validators=[openmid.instance.actions.validation.inputs], verbose_name='Inputs')),
                ('outputs', models.JSONField(blank=True, default=list, validators=[openmid.instance.actions.validation.action_outputs], verbose_name='Outputs')),
            ],
            options={
                'db_table': 'action',
                'ordering': ('name',),
            },
        ),
        migrations.CreateModel(
            name='Execution',
            fields=[
                ('sys_id', models.CharField(max_length=32, primary_key=True, serialize=False, verbose_name='Sys ID')),
                ('sys_created_on', models.BigIntegerField(verbose_name='Created (µs)')),
                ('sys_created_by', models.CharField(max_length=150, verbose_name='Started by')),
                ('action', models.CharField(max_length=32)),
                ('action_name', models.CharField(max_length=160, verbose_name='Action')),
                ('state', models.CharField(choices=[('Waiting', 'Waiting'), ('In Progress', 'In Progress'), ('Completed', 'Completed'), ('Error', 'Error'), ('Cancelled', 'Cancelled')], max_length=12, verbose_name='State')),
                ('finished', models.BigIntegerField(null=True, verbose_name='Finished (µs)')),
                ('idempotency_key', models.CharField(max_length=255, null=True)),
                ('priority', models.SmallIntegerField(default=2, verbose_name='Priority')),
                ('inputs', models.TextField(default='{}')),
                ('output_plan', models.TextField(default='[]')),
                ('outputs', models.TextField(default='{}')),
                ('version', models.IntegerField(default=0, verbose_name='Version')),
            ],
            options={
                'db_table': 'execution',
                'ordering': ('-sys_created_on',),
                'indexes': [models.Index(fields=['sys_created_on'], name='execution_created'), models.Index(fields=['action', 'sys_created_on'], name='execution_of_action')],
                'constraints': [models.UniqueConstraint(fields=('sys_created_by', 'idempotency_key'), name='execution_idempotency')],
            },
        ),
        migrations.CreateModel(
            name='StepExecution',
            fields=[
                ('sys_id', models.CharField(max_length=32, primary_key=True, serialize=False, verbose_name='Sys ID')),
                ('execution', models.CharField(max_length=32)),
                ('position', models.SmallIntegerField()),
                ('name', models.CharField(max_length=80)),
                ('state', models.CharField(choices=[('Waiting', 'Waiting'), ('In Progress', 'In Progress'), ('Completed', 'Completed'), ('Error', 'Error'), ('Cancelled', 'Cancelled')], max_length=12)),
                ('plan', models.TextField()),
                ('item', models.CharField(default='', max_length=32)),
                ('response', models.CharField(default='', max_length=32)),
                ('mid_server', models.CharField(default='', max_length=80)),
                ('fips_proof', models.CharField(default='', max_length=32)),
                ('error', models.TextField(default='')),
                ('started', models.BigIntegerField(null=True)),
                ('finished', models.BigIntegerField(null=True)),
                ('outputs', models.TextField(default='{}')),
            ],
            options={
                'db_table': 'step_execution',
                'ordering': ('execution', 'position'),
                'indexes': [models.Index(fields=['item'], name='step_execution_item')],
                'constraints': [models.UniqueConstraint(fields=('execution', 'position'), name='step_execution_position')],
            },
        ),
        migrations.CreateModel(
            name='ActionVersion',
            fields=[
                ('sys_id', models.CharField(default=openmid.instance.records.base.new_sys_id, editable=False, max_length=32, primary_key=True, serialize=False, verbose_name='Sys ID')),
                ('sys_created_on', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='Created')),
                ('sys_created_by', models.CharField(default='', editable=False, max_length=150, verbose_name='Created by')),
                ('sys_updated_on', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='Updated')),
                ('sys_updated_by', models.CharField(default='', editable=False, max_length=150, verbose_name='Updated by')),
                ('sys_mod_count', models.PositiveIntegerField(default=0, editable=False, verbose_name='Updates')),
                ('number', models.PositiveIntegerField(verbose_name='Version')),
                ('inputs', models.JSONField(default=list, verbose_name='Inputs')),
                ('outputs', models.JSONField(default=list, verbose_name='Outputs')),
                ('action', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='versions', to='actions.action')),
            ],
            options={
                'db_table': 'action_version',
                'ordering': ('-number',),
                'constraints': [models.UniqueConstraint(fields=('action', 'number'), name='action_version_number')],
            },
        ),
        migrations.AddField(
            model_name='action',
            name='published',
            field=models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='+', to='actions.actionversion'),
        ),
        migrations.CreateModel(
            name='Step',
            fields=[
                ('sys_id', models.CharField(default=openmid.instance.records.base.new_sys_id, editable=False, max_length=32, primary_key=True, serialize=False, verbose_name='Sys ID')),
                ('sys_created_on', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='Created')),
                ('sys_created_by', models.CharField(default='', editable=False, max_length=150, verbose_name='Created by')),
                ('sys_updated_on', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='Updated')),
                ('sys_updated_by', models.CharField(default='', editable=False, max_length=150, verbose_name='Updated by')),
                ('sys_mod_count', models.PositiveIntegerField(default=0, editable=False, verbose_name='Updates')),
                ('order', models.PositiveIntegerField(default=1, verbose_name='Order')),
                ('name', models.CharField(default='REST', max_length=80, verbose_name='Name')),
                ('connection', models.CharField(choices=[('alias', 'Use Connection Alias'), ('inline', 'Define Connection Inline')], default='alias', max_length=8, verbose_name='Connection')),
                ('inline_url', models.CharField(blank=True, default='', help_text='https://host, or mauth://host with a protocol.', max_length=2048, verbose_name='Base URL')),
                ('method', models.CharField(choices=[('GET', 'Get'), ('POST', 'Post'), ('PUT', 'Put'), ('PATCH', 'Patch'), ('DELETE', 'Delete')], default='GET', max_length=8, verbose_name='HTTP method')),
                ('resource_path', models.CharField(blank=True, default='', max_length=2048, validators=[openmid.instance.actions.validation.step_path], verbose_name='Resource path')),
                ('headers', openmid.instance.records.header_secrets.HeadersField(blank=True, default=list, unless=openmid.instance.actions.pills.has_pills, validators=[openmid.instance.connections.header_fields.stored], verbose_name='Headers')),
                ('query', models.JSONField(blank=True, default=list, validators=[openmid.instance.actions.validation.query], verbose_name='Query parameters')),
                ('body', models.TextField(blank=True, default='', verbose_name='Request body')),
                ('action', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='steps', to='actions.action')),
                ('connection_alias', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to='connections.connectionalias', verbose_name='Connection alias')),
                ('follow_redirects', models.BooleanField(default=True, verbose_name='Follow redirects')),
                ('on_failure', models.CharField(choices=[('stop', 'End the execution'), ('continue', 'Go on with the next step')], default='stop', max_length=8, verbose_name='On failure')),
                ('retry_any_method', models.BooleanField(default=False, verbose_name='May be repeated although it was sent')),
                ('retry_count', models.PositiveSmallIntegerField(default=0, validators=[django.core.validators.MaxValueValidator(20)], verbose_name='Retries')),
                ('retry_interval', models.PositiveIntegerField(default=1000, validators=[django.core.validators.MaxValueValidator(600000)], verbose_name='Interval (ms)')),
                ('retry_kind', models.CharField(choices=[('exponential', 'Exponential'), ('fixed', 'Fixed interval'), ('retry_after', 'As the partner says (Retry-After)')], default='exponential', max_length=11, verbose_name='Retry policy')),
                ('retry_max_elapsed', models.PositiveIntegerField(default=60000, validators=[django.core.validators.MaxValueValidator(600000)], verbose_name='At most (ms)')),
                ('retry_statuses', models.JSONField(blank=True, default=openmid.instance.actions.validation.usual_statuses, validators=[openmid.instance.actions.validation.statuses], verbose_name='Statuses')),
                ('attachment', models.CharField(blank=True, default='', help_text='The sys_id of an attachment, or a data pill.', max_length=400, verbose_name='Attachment')),
                ('body_kind', models.CharField(choices=[('text', 'Text'), ('json', 'JSON'), ('form', 'Form URL-Encoded'), ('multipart', 'Multipart'), ('binary', 'Binary (an attachment)')], default='text', max_length=9, verbose_name='Request type')),
                ('form', models.JSONField(blank=True, default=list, validators=[openmid.instance.actions.validation.query], verbose_name='Form fields')),
                ('outputs', models.JSONField(blank=True, default=list, validators=[openmid.instance.actions.validation.step_outputs], verbose_name='Outputs')),
                ('parts', models.JSONField(blank=True, default=list, validators=[openmid.instance.actions.validation.parts], verbose_name='Parts')),
                ('save_as', models.CharField(blank=True, default='', help_text='A file name. Empty: the response stays here, up to 5 MB.', max_length=200, verbose_name='Save response as attachment')),
                ('soap_action', models.CharField(blank=True, default='', max_length=1024, verbose_name='SOAP action')),
                ('soap_version', models.CharField(choices=[('1.1', 'SOAP 1.1'), ('1.2', 'SOAP 1.2')], default='1.1', max_length=3, verbose_name='SOAP version')),
                ('type', models.CharField(choices=[('REST', 'REST'), ('SOAP', 'SOAP')], default='REST', max_length=4, verbose_name='Type')),
                ('version', models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.CASCADE, related_name='steps', to='actions.actionversion')),
                ('retry_failures', models.JSONField(blank=True, default=list, validators=[openmid.instance.actions.validation.failures], verbose_name='Failures')),
            ],
            options={
                'verbose_name': 'step',
                'db_table': 'action_step',
                'ordering': ('order', 'sys_created_on'),
            },
        ),
    ]
