import openmid.instance.actions.validation
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('actions', '0005_studio'),
    ]

    operations = [
        migrations.AddField(
            model_name='step',
            name='retry_failures',
            field=models.JSONField(blank=True, default=list, validators=[openmid.instance.actions.validation.failures], verbose_name='Failures'),
        ),
    ]
