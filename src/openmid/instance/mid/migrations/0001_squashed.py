"""What the migrations that it replaces come to, for a database that has none of them; one that has some runs the rest."""

import django.core.validators
import django.db.models.deletion
import django.utils.timezone
import openmid.instance.mid.addresses
import openmid.instance.records.base
from django.db import migrations, models


class Migration(migrations.Migration):

    replaces = [('mid', '0001_initial'), ('mid', '0002_fips_issues_and_signed_proofs'), ('mid', '0003_selection'), ('mid', '0004_cluster_members'), ('mid', '0005_processes')]

    initial = True

    dependencies = [
    ]

    operations = [
        migrations.CreateModel(
            name='FipsProof',
            fields=[
                ('sys_id', models.CharField(max_length=32, primary_key=True, serialize=False)),
                ('proof', models.TextField()),
                ('fingerprint', models.CharField(default='', max_length=95)),
                ('signature', models.TextField(default='')),
            ],
            options={
                'db_table': 'fips_proof',
            },
        ),
        migrations.CreateModel(
            name='IpRange',
            fields=[
                ('sys_id', models.CharField(default=openmid.instance.records.base.new_sys_id, editable=False, max_length=32, primary_key=True, serialize=False, verbose_name='Sys ID')),
                ('sys_created_on', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='Created')),
                ('sys_created_by', models.CharField(default='', editable=False, max_length=150, verbose_name='Created by')),
                ('sys_updated_on', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='Updated')),
                ('sys_updated_by', models.CharField(default='', editable=False, max_length=150, verbose_name='Updated by')),
                ('sys_mod_count', models.PositiveIntegerField(default=0, editable=False, verbose_name='Updates')),
                ('name', models.CharField(max_length=80, unique=True, verbose_name='Name')),
                ('type', models.CharField(choices=[('include', 'Include'), ('exclude', 'Exclude')], default='include', max_length=8, verbose_name='Type')),
                ('range', models.CharField(help_text='10.1.0.0/16, 10.1.2.3 or 10.1.2.3-10.1.2.9.', max_length=100, validators=[openmid.instance.mid.addresses.ip_range], verbose_name='Range')),
            ],
            options={
                'verbose_name': 'MID Server IP range',
                'db_table': 'ecc_agent_ip_range',
                'ordering': ('name',),
            },
        ),
        migrations.CreateModel(
            name='MidApplication',
            fields=[
                ('sys_id', models.CharField(default=openmid.instance.records.base.new_sys_id, editable=False, max_length=32, primary_key=True, serialize=False, verbose_name='Sys ID')),
                ('sys_created_on', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='Created')),
                ('sys_created_by', models.CharField(default='', editable=False, max_length=150, verbose_name='Created by')),
                ('sys_updated_on', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='Updated')),
                ('sys_updated_by', models.CharField(default='', editable=False, max_length=150, verbose_name='Updated by')),
                ('sys_mod_count', models.PositiveIntegerField(default=0, editable=False, verbose_name='Updates')),
                ('name', models.CharField(max_length=80, unique=True, verbose_name='Name')),
                ('description', models.CharField(blank=True, default='', max_length=255, verbose_name='Description')),
            ],
            options={
                'verbose_name': 'MID Server application',
                'db_table': 'ecc_agent_application',
                'ordering': ('name',),
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='MidCapability',
            fields=[
                ('sys_id', models.CharField(default=openmid.instance.records.base.new_sys_id, editable=False, max_length=32, primary_key=True, serialize=False, verbose_name='Sys ID')),
                ('sys_created_on', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='Created')),
                ('sys_created_by', models.CharField(default='', editable=False, max_length=150, verbose_name='Created by')),
                ('sys_updated_on', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='Updated')),
                ('sys_updated_by', models.CharField(default='', editable=False, max_length=150, verbose_name='Updated by')),
                ('sys_mod_count', models.PositiveIntegerField(default=0, editable=False, verbose_name='Updates')),
                ('name', models.CharField(max_length=80, unique=True, verbose_name='Name')),
                ('description', models.CharField(blank=True, default='', max_length=255, verbose_name='Description')),
            ],
            options={
                'verbose_name': 'MID Server capability',
                'verbose_name_plural': 'MID Server capabilities',
                'db_table': 'ecc_agent_capability',
                'ordering': ('name',),
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='MidServer',
            fields=[
                ('sys_id', models.CharField(default=openmid.instance.records.base.new_sys_id, editable=False, max_length=32, primary_key=True, serialize=False, verbose_name='Sys ID')),
                ('sys_created_on', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='Created')),
                ('sys_created_by', models.CharField(default='', editable=False, max_length=150, verbose_name='Created by')),
                ('sys_updated_on', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='Updated')),
                ('sys_updated_by', models.CharField(default='', editable=False, max_length=150, verbose_name='Updated by')),
                ('sys_mod_count', models.PositiveIntegerField(default=0, editable=False, verbose_name='Updates')),
                ('name', models.CharField(max_length=80, unique=True, validators=[django.core.validators.RegexValidator('\\A[A-Za-z0-9][A-Za-z0-9_.-]{0,79}\\Z', "A MID Server's name has letters, digits, underscore, dot and hyphen, and starts with a letter or digit.")], verbose_name='Name')),
                ('host_name', models.CharField(blank=True, default='', max_length=255, verbose_name='Host name')),
                ('host_os_distribution', models.CharField(blank=True, default='', max_length=255, verbose_name='Host OS distribution')),
                ('version', models.CharField(blank=True, default='', max_length=80, verbose_name='Version')),
                ('validated', models.CharField(choices=[('true', 'Yes'), ('false', 'No'), ('rekey', 'Rekey')], default='false', max_length=8, verbose_name='Validated')),
                ('validated_by', models.CharField(blank=True, default='', max_length=150, verbose_name='Validated by')),
                ('validated_at', models.DateTimeField(blank=True, null=True, verbose_name='Validated at')),
                ('public_key', models.TextField(blank=True, default='', verbose_name='Public key')),
                ('fingerprint', models.CharField(blank=True, default='', max_length=95, verbose_name='Key fingerprint')),
                ('credential_hash', models.CharField(blank=True, default='', editable=False, max_length=64)),
                ('previous_credential_hash', models.CharField(blank=True, default='', editable=False, max_length=64)),
                ('reported_status', models.CharField(blank=True, default='', editable=False, max_length=40, verbose_name='Reported status')),
                ('started', models.BigIntegerField(blank=True, null=True, verbose_name='Started (µs)')),
                ('last_refreshed', models.BigIntegerField(blank=True, null=True, verbose_name='Last refreshed (µs)')),
                ('fips_enforced', models.BooleanField(default=False, verbose_name='FIPS Enforced')),
                ('profile_statuses', models.JSONField(blank=True, default=list, verbose_name='Protocol profiles')),
                ('egress', models.JSONField(blank=True, default=list, verbose_name='Egress rules')),
                ('configuration', models.PositiveBigIntegerField(default=1, editable=False, verbose_name='Configuration')),
                ('fips_proof', models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.PROTECT, to='mid.fipsproof')),
                ('proof_asked', models.BigIntegerField(default=0, editable=False, verbose_name='Proof asked for (µs)')),
                ('load', models.JSONField(blank=True, default=dict, editable=False, verbose_name='Load')),
                ('log_tail', models.JSONField(blank=True, default=list, editable=False, verbose_name='Log')),
                ('paused', models.BooleanField(default=False, editable=False, verbose_name='Paused')),
                ('profiles_not_loaded', models.TextField(blank=True, default='', editable=False)),
                ('reported_capabilities', models.JSONField(blank=True, default=list, editable=False, verbose_name='Reported capabilities')),
                ('restart_asked', models.BigIntegerField(default=0, editable=False, verbose_name='Restart asked for (µs)')),
                ('ip_ranges', models.ManyToManyField(blank=True, db_table='ecc_agent_ip_range_m2m', to='mid.iprange', verbose_name='IP ranges')),
                ('applications', models.ManyToManyField(blank=True, db_table='ecc_agent_application_m2m', to='mid.midapplication', verbose_name='Applications')),
                ('capabilities', models.ManyToManyField(blank=True, db_table='ecc_agent_capability_m2m', to='mid.midcapability', verbose_name='Capabilities')),
                ('processes', models.JSONField(blank=True, default=list, editable=False)),
            ],
            options={
                'verbose_name': 'MID Server',
                'db_table': 'ecc_agent',
                'ordering': ('name',),
            },
        ),
        migrations.CreateModel(
            name='EnrolmentToken',
            fields=[
                ('sys_id', models.CharField(default=openmid.instance.records.base.new_sys_id, editable=False, max_length=32, primary_key=True, serialize=False, verbose_name='Sys ID')),
                ('sys_created_on', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='Created')),
                ('sys_created_by', models.CharField(default='', editable=False, max_length=150, verbose_name='Created by')),
                ('sys_updated_on', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='Updated')),
                ('sys_updated_by', models.CharField(default='', editable=False, max_length=150, verbose_name='Updated by')),
                ('sys_mod_count', models.PositiveIntegerField(default=0, editable=False, verbose_name='Updates')),
                ('name', models.CharField(help_text='The name of the MID Server that will use the token.', max_length=80, validators=[django.core.validators.RegexValidator('\\A[A-Za-z0-9][A-Za-z0-9_.-]{0,79}\\Z', "A MID Server's name has letters, digits, underscore, dot and hyphen, and starts with a letter or digit.")], verbose_name='MID Server')),
                ('token_hash', models.CharField(editable=False, max_length=64, unique=True)),
                ('expires', models.DateTimeField(editable=False, verbose_name='Expires')),
                ('used_at', models.DateTimeField(blank=True, editable=False, null=True, verbose_name='Used')),
                ('used_by', models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, to='mid.midserver', verbose_name='Used by')),
            ],
            options={
                'verbose_name': 'enrolment token',
                'db_table': 'mid_enrolment_token',
                'ordering': ('-sys_created_on',),
            },
        ),
        migrations.CreateModel(
            name='MidIssue',
            fields=[
                ('sys_id', models.CharField(default=openmid.instance.records.base.new_sys_id, editable=False, max_length=32, primary_key=True, serialize=False, verbose_name='Sys ID')),
                ('sys_created_on', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='Created')),
                ('sys_created_by', models.CharField(default='', editable=False, max_length=150, verbose_name='Created by')),
                ('sys_updated_on', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='Updated')),
                ('sys_updated_by', models.CharField(default='', editable=False, max_length=150, verbose_name='Updated by')),
                ('sys_mod_count', models.PositiveIntegerField(default=0, editable=False, verbose_name='Updates')),
                ('source', models.CharField(max_length=80, verbose_name='Source')),
                ('short_description', models.CharField(max_length=255, verbose_name='Short description')),
                ('state', models.CharField(choices=[('new', 'New'), ('resolved', 'Resolved')], default='new', max_length=20, verbose_name='State')),
                ('count', models.PositiveIntegerField(default=1, verbose_name='Count')),
                ('last_detected', models.BigIntegerField(verbose_name='Last detected (µs)')),
                ('resolved', models.BigIntegerField(blank=True, null=True, verbose_name='Resolved (µs)')),
                ('mid_server', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='mid.midserver', verbose_name='MID Server')),
            ],
            options={
                'verbose_name': 'MID Server issue',
                'db_table': 'ecc_agent_issue',
                'ordering': ('-last_detected',),
                'constraints': [models.UniqueConstraint(condition=models.Q(('state', 'new')), fields=('mid_server', 'source'), name='one_new_issue_for_each_source')],
            },
        ),
        migrations.CreateModel(
            name='MidCluster',
            fields=[
                ('sys_id', models.CharField(default=openmid.instance.records.base.new_sys_id, editable=False, max_length=32, primary_key=True, serialize=False, verbose_name='Sys ID')),
                ('sys_created_on', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='Created')),
                ('sys_created_by', models.CharField(default='', editable=False, max_length=150, verbose_name='Created by')),
                ('sys_updated_on', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='Updated')),
                ('sys_updated_by', models.CharField(default='', editable=False, max_length=150, verbose_name='Updated by')),
                ('sys_mod_count', models.PositiveIntegerField(default=0, editable=False, verbose_name='Updates')),
                ('name', models.CharField(max_length=80, unique=True, verbose_name='Name')),
                ('cluster_type', models.CharField(choices=[('load_balance', 'Load Balance'), ('failover', 'Failover')], default='load_balance', help_text='Load Balance spreads calls over the members. Failover takes the lowest order that is fit.', max_length=20, verbose_name='Cluster type')),
            ],
            options={
                'verbose_name': 'MID Server cluster',
                'db_table': 'ecc_agent_cluster',
                'ordering': ('name',),
            },
        ),
        migrations.CreateModel(
            name='ClusterMember',
            fields=[
                ('sys_id', models.CharField(default=openmid.instance.records.base.new_sys_id, editable=False, max_length=32, primary_key=True, serialize=False, verbose_name='Sys ID')),
                ('sys_created_on', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='Created')),
                ('sys_created_by', models.CharField(default='', editable=False, max_length=150, verbose_name='Created by')),
                ('sys_updated_on', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='Updated')),
                ('sys_updated_by', models.CharField(default='', editable=False, max_length=150, verbose_name='Updated by')),
                ('sys_mod_count', models.PositiveIntegerField(default=0, editable=False, verbose_name='Updates')),
                ('order', models.PositiveIntegerField(default=100, verbose_name='Order')),
                ('mid_server', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='memberships', to='mid.midserver', verbose_name='MID Server')),
                ('cluster', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='members', to='mid.midcluster', verbose_name='Cluster')),
            ],
            options={
                'verbose_name': 'cluster member',
                'db_table': 'ecc_agent_cluster_member_m2m',
                'ordering': ('order', 'mid_server__name'),
                'constraints': [models.UniqueConstraint(fields=('cluster', 'mid_server'), name='once_in_a_cluster')],
                'base_manager_name': 'objects',
            },
        ),
    ]
