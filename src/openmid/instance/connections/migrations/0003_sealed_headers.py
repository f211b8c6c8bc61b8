import openmid.instance.connections.header_fields
import openmid.instance.records.header_secrets
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('connections', '0002_credentials_and_selection'),
    ]

    operations = [
        migrations.AlterField(
            model_name='httpconnection',
            name='additional_http_headers',
            field=openmid.instance.records.header_secrets.HeadersField(blank=True, default=list, help_text='Sent with every call of this connection, unless a step sets the same header.', validators=[openmid.instance.connections.header_fields.stored], verbose_name='Additional HTTP headers'),
        ),
    ]
