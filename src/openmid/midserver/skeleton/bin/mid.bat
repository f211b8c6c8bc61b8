@echo off
rem start | stop | restart | status [--json] | console
rem Exit status: 0 done (status: running), 1 failed, 2 usage, 3 status: not running.
for %%w in (start stop restart status console) do if "%~1"=="%%w" goto %%w
echo usage: mid.bat start^|stop^|restart^|status [--json]^|console 1>&2
exit /b 2
:start
:stop
:restart
:status
"%~dp0openmid.bat" mid %1 --dir "%~dp0.." %2
:console
"%~dp0openmid.bat" mid run --dir "%~dp0.."
