@rem keytool's commands and flags, without a JVM. agent\jre\bin\keytool.bat calls this file.
@@PYTHON@ -P -c "from openmid.keystore.keytool.__main__ import program; program()" %*
