import openmid.instance.actions.pills
import openmid.instance.connections.header_fields
import openmid.instance.records.header_secrets
from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('actions', '0006_retry_failures'),
    ]

    operations = [
        migrations.AlterField(
            model_name='step',
            name='headers',
            field=openmid.instance.records.header_secrets.HeadersField(blank=True, default=list, unless=openmid.instance.actions.pills.has_pills, validators=[openmid.instance.connections.header_fields.stored], verbose_name='Headers'),
        ),
    ]
