@@PYTHON@ -P -m openmid mid fips --dir "%~dp0..\.." %*
