"""What the migrations that it replaces come to, for a database that has none of them; one that has some runs the rest."""

import django.core.validators
import django.db.models.deletion
import django.utils.timezone
import openmid.instance.connections.header_fields
import openmid.instance.connections.validation
import openmid.instance.records.base
import openmid.instance.records.header_secrets
import openmid.instance.records.secrets
from django.db import migrations, models


class Migration(migrations.Migration):

    replaces = [('connections', '0001_initial'), ('connections', '0002_credentials_and_selection'), ('connections', '0003_sealed_headers')]

    initial = True

    dependencies = [
        ('mid', '0001_initial'),
        ('mid', '0003_selection'),
    ]

    operations = [
        migrations.CreateModel(
            name='ConnectionAlias',
            fields=[
                ('sys_id', models.CharField(default=openmid.instance.records.base.new_sys_id, editable=False, max_length=32, primary_key=True, serialize=False, verbose_name='Sys ID')),
                ('sys_created_on', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='Created')),
                ('sys_created_by', models.CharField(default='', editable=False, max_length=150, verbose_name='Created by')),
                ('sys_updated_on', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='Updated')),
                ('sys_updated_by', models.CharField(default='', editable=False, max_length=150, verbose_name='Updated by')),
                ('sys_mod_count', models.PositiveIntegerField(default=0, editable=False, verbose_name='Updates')),
                ('name', models.CharField(error_messages={'unique': 'An alias with this name exists already.'}, help_text='Letters, digits and underscores.', max_length=80, unique=True, validators=[openmid.instance.connections.validation.alias_name], verbose_name='Name')),
                ('type', models.CharField(choices=[('connection', 'Connection and Credential')], default='connection', max_length=20, verbose_name='Type')),
                ('connection_type', models.CharField(choices=[('http_connection', 'HTTP')], default='http_connection', max_length=40, verbose_name='Connection type')),
            ],
            options={
                'verbose_name': 'Connection & Credential Alias',
                'verbose_name_plural': 'Connection & Credential Aliases',
                'db_table': 'sys_alias',
                'ordering': ('name',),
            },
        ),
        migrations.CreateModel(
            name='MidProtocolProfile',
            fields=[
                ('sys_id', models.CharField(default=openmid.instance.records.base.new_sys_id, editable=False, max_length=32, primary_key=True, serialize=False, verbose_name='Sys ID')),
                ('sys_created_on', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='Created')),
                ('sys_created_by', models.CharField(default='', editable=False, max_length=150, verbose_name='Created by')),
                ('sys_updated_on', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='Updated')),
                ('sys_updated_by', models.CharField(default='', editable=False, max_length=150, verbose_name='Updated by')),
                ('sys_mod_count', models.PositiveIntegerField(default=0, editable=False, verbose_name='Updates')),
                ('protocol', models.CharField(error_messages={'unique': 'This protocol is taken. Every MID Protocol Profile has a name of its own.'}, help_text="Lower-case letters and digits, for example mauth. It becomes the scheme of the connection's URL.", max_length=40, unique=True, validators=[openmid.instance.connections.validation.protocol_name], verbose_name='Protocol')),
                ('keystore_path', models.CharField(blank=True, default='', help_text="On the MID Server's host: absolute, or relative to the agent folder. Empty, with the password: config.xml on the MID Server has both.", max_length=1024, validators=[openmid.instance.connections.validation.keystore_path], verbose_name='Keystore path')),
                ('password', openmid.instance.records.secrets.EncryptedField(blank=True, default='', help_text="The keystore's password; with an external credential store, the secret's id there. It is stored encrypted and never shown.", verbose_name='Password')),
                ('applies_to', models.CharField(choices=[('all', 'All MID Servers'), ('specific', 'Specific MID Servers')], default='all', max_length=20, verbose_name='Applies to')),
                ('default_port', models.PositiveIntegerField(default=443, validators=[django.core.validators.MinValueValidator(1, 'A port is 1 to 65535.'), django.core.validators.MaxValueValidator(65535, 'A port is 1 to 65535.')], verbose_name='Default port')),
                ('mid_list', models.ManyToManyField(blank=True, related_name='specific_profiles', to='mid.midserver', verbose_name='MID Servers')),
                ('alias', models.CharField(blank=True, default='', help_text="Of the keystore's entry. Empty: the private key whose certificate is valid longest.", max_length=255, verbose_name='Key alias')),
                ('external_credential_store', models.BooleanField(default=False, help_text="The password lies in the MID Server's external store; Password has its id there.", verbose_name='External Credential Store')),
            ],
            options={
                'verbose_name': 'MID Protocol Profile',
                'db_table': 'mid_protocol_profile',
                'ordering': ('protocol',),
            },
        ),
        migrations.CreateModel(
            name='Credential',
            fields=[
                ('sys_id', models.CharField(default=openmid.instance.records.base.new_sys_id, editable=False, max_length=32, primary_key=True, serialize=False, verbose_name='Sys ID')),
                ('sys_created_on', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='Created')),
                ('sys_created_by', models.CharField(default='', editable=False, max_length=150, verbose_name='Created by')),
                ('sys_updated_on', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='Updated')),
                ('sys_updated_by', models.CharField(default='', editable=False, max_length=150, verbose_name='Updated by')),
                ('sys_mod_count', models.PositiveIntegerField(default=0, editable=False, verbose_name='Updates')),
                ('name', models.CharField(error_messages={'unique': 'A credential with this name exists already.'}, max_length=80, unique=True, verbose_name='Name')),
                ('type', models.CharField(choices=[('basic', 'Basic'), ('api_key', 'API key'), ('oauth', 'OAuth 2.0 client credentials')], editable=False, max_length=20, verbose_name='Type')),
                ('active', models.BooleanField(default=True, help_text='An inactive one is given to no MID Server.', verbose_name='Active')),
                ('external_credential_store', models.BooleanField(default=False, help_text="The secret lies in the MID Server's external store; the field of the secret has its id there.", verbose_name='External Credential Store')),
            ],
            options={
                'verbose_name': 'Credential',
                'db_table': 'discovery_credentials',
                'ordering': ('name',),
            },
        ),
        migrations.CreateModel(
            name='ApiKeyCredential',
            fields=[
                ('credential_ptr', models.OneToOneField(auto_created=True, on_delete=django.db.models.deletion.CASCADE, parent_link=True, primary_key=True, serialize=False, to='connections.credential')),
                ('api_key', openmid.instance.records.secrets.EncryptedField(help_text='It is stored encrypted, sealed to each MID Server that may need it, and never shown.', verbose_name='API key')),
                ('place', models.CharField(choices=[('header', 'Header'), ('query', 'Query parameter')], default='header', max_length=8, verbose_name='Sent in')),
                ('parameter', models.CharField(default='X-API-Key', max_length=120, verbose_name='Name of header or parameter')),
            ],
            options={
                'verbose_name': 'API key credential',
                'db_table': 'api_key_credentials',
                'abstract': False,
            },
            bases=('connections.credential',),
        ),
        migrations.CreateModel(
            name='BasicAuthCredential',
            fields=[
                ('credential_ptr', models.OneToOneField(auto_created=True, on_delete=django.db.models.deletion.CASCADE, parent_link=True, primary_key=True, serialize=False, to='connections.credential')),
                ('user_name', models.CharField(max_length=255, validators=[openmid.instance.connections.validation.one_line], verbose_name='User name')),
                ('password', openmid.instance.records.secrets.EncryptedField(help_text='It is stored encrypted, sealed to each MID Server that may need it, and never shown.', verbose_name='Password')),
            ],
            options={
                'verbose_name': 'Basic Auth credential',
                'db_table': 'basic_auth_credentials',
                'abstract': False,
            },
            bases=('connections.credential',),
        ),
        migrations.CreateModel(
            name='OAuthCredential',
            fields=[
                ('credential_ptr', models.OneToOneField(auto_created=True, on_delete=django.db.models.deletion.CASCADE, parent_link=True, primary_key=True, serialize=False, to='connections.credential')),
                ('client_id', models.CharField(max_length=255, validators=[openmid.instance.connections.validation.one_line], verbose_name='Client ID')),
                ('client_secret', openmid.instance.records.secrets.EncryptedField(help_text='It is stored encrypted, sealed to each MID Server that may need it, and never shown.', verbose_name='Client secret')),
                ('token_url', models.CharField(help_text="https://…, or mauth://… where the token is fetched with a MID Protocol Profile's certificate.", max_length=2048, verbose_name='Token URL')),
                ('scope', models.CharField(blank=True, default='', max_length=1024, validators=[openmid.instance.connections.validation.one_line], verbose_name='Scope')),
                ('ca_certificates', models.TextField(blank=True, default='', help_text="For the token URL; PEM. Empty: those that the MID Server's system trusts.", validators=[openmid.instance.connections.validation.certificates], verbose_name='CA certificates')),
            ],
            options={
                'verbose_name': 'OAuth 2.0 credential',
                'db_table': 'oauth_2_0_credentials',
                'abstract': False,
            },
            bases=('connections.credential',),
        ),
        migrations.CreateModel(
            name='HttpConnection',
            fields=[
                ('sys_id', models.CharField(default=openmid.instance.records.base.new_sys_id, editable=False, max_length=32, primary_key=True, serialize=False, verbose_name='Sys ID')),
                ('sys_created_on', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='Created')),
                ('sys_created_by', models.CharField(default='', editable=False, max_length=150, verbose_name='Created by')),
                ('sys_updated_on', models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name='Updated')),
                ('sys_updated_by', models.CharField(default='', editable=False, max_length=150, verbose_name='Updated by')),
                ('sys_mod_count', models.PositiveIntegerField(default=0, editable=False, verbose_name='Updates')),
                ('name', models.CharField(max_length=80, verbose_name='Name')),
                ('active', models.BooleanField(default=True, help_text='An alias has one active connection.', verbose_name='Active')),
                ('url_builder', models.BooleanField(default=True, help_text='Make the connection URL from host, port and base path.', verbose_name='URL builder')),
                ('mutual_auth', models.BooleanField(default=False, verbose_name='Mutual authentication')),
                ('use_mid', models.BooleanField(default=True, verbose_name='Use MID server')),
                ('require_fips', models.BooleanField(default=False, help_text='Only a MID Server in FIPS Enforced Mode makes this call.', verbose_name='Require FIPS')),
                ('host', models.CharField(blank=True, default='', max_length=255, validators=[openmid.instance.connections.validation.host], verbose_name='Host')),
                ('port', models.PositiveIntegerField(blank=True, null=True, validators=[django.core.validators.MinValueValidator(1, 'A port is 1 to 65535.'), django.core.validators.MaxValueValidator(65535, 'A port is 1 to 65535.')], verbose_name='Port')),
                ('base_path', models.CharField(blank=True, default='', max_length=1024, validators=[openmid.instance.connections.validation.url_path], verbose_name='Base path')),
                ('connection_url', models.CharField(blank=True, default='', help_text='Filled in when the connection is saved.', max_length=2048, verbose_name='Connection URL')),
                ('mid_selection', models.CharField(choices=[('auto_select', 'Auto-select MID Server'), ('specific_mid_server', 'Specific MID Server'), ('specific_mid_cluster', 'Specific MID Cluster')], default='auto_select', max_length=40, verbose_name='MID selection')),
                ('connection_timeout', models.PositiveIntegerField(default=30000, help_text='For a call as a whole, to the last byte of the answer.', validators=[django.core.validators.MinValueValidator(1, 'At least 1 ms.'), django.core.validators.MaxValueValidator(600000, 'At most 600,000 ms.')], verbose_name='Connection timeout (ms)')),
                ('ca_certificates', models.TextField(blank=True, default='', help_text="PEM. Empty: the certification authorities that the MID Server's system trusts.", validators=[openmid.instance.connections.validation.certificates], verbose_name='CA certificates')),
                ('connection_alias', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='connections', to='connections.connectionalias', verbose_name='Connection alias')),
                ('mid_server', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to='mid.midserver', verbose_name='MID Server')),
                ('mid_protocol_profile', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='connections', to='connections.midprotocolprofile', verbose_name='MID protocol profile')),
                ('additional_http_headers', openmid.instance.records.header_secrets.HeadersField(blank=True, default=list, help_text='Sent with every call of this connection, unless a step sets the same header.', validators=[openmid.instance.connections.header_fields.stored], verbose_name='Additional HTTP headers')),
                ('application', models.ForeignKey(blank=True, help_text='Only a MID Server that is there for it, or for ALL.', null=True, on_delete=django.db.models.deletion.PROTECT, to='mid.midapplication', verbose_name='Application')),
                ('capabilities', models.ManyToManyField(blank=True, help_text='Only a MID Server that has every one of them, or ALL.', to='mid.midcapability', verbose_name='Capabilities')),
                ('connect_timeout', models.PositiveIntegerField(default=0, help_text='0: only the whole call has a limit.', validators=[django.core.validators.MaxValueValidator(600000, 'At most 600,000 ms.')], verbose_name='Connect timeout (ms)')),
                ('first_byte_timeout', models.PositiveIntegerField(default=0, help_text='0: only the whole call has a limit.', validators=[django.core.validators.MaxValueValidator(600000, 'At most 600,000 ms.')], verbose_name='First byte timeout (ms)')),
                ('mid_cluster', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, to='mid.midcluster', verbose_name='MID Cluster')),
                ('tls_timeout', models.PositiveIntegerField(default=0, help_text='0: only the whole call has a limit.', validators=[django.core.validators.MaxValueValidator(600000, 'At most 600,000 ms.')], verbose_name='TLS timeout (ms)')),
                ('credential', models.ForeignKey(blank=True, help_text='What a call says of itself besides the client certificate.', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='connections', to='connections.credential', verbose_name='Credential')),
            ],
            options={
                'verbose_name': 'HTTP(s) Connection',
                'db_table': 'http_connection',
                'ordering': ('name',),
                'constraints': [models.UniqueConstraint(condition=models.Q(('active', True)), fields=('connection_alias',), name='http_connection_one_active')],
            },
        ),
    ]
