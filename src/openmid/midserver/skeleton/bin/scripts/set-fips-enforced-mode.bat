@rem on, off, status [--json]. FIPS Enforced Mode is proved on Linux only: "on" says so here, and changes nothing.
@"%~dp0..\openmid.bat" mid fips --dir "%~dp0..\.." %*
