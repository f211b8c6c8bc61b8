@rem The openmid that laid out this folder. Every other script here but keytool goes through this one.
@@PYTHON@ -P -m openmid %*
