# Java for the programs that start Spark, and for the master and workers of a cluster. spark-defaults.conf has the rest.
SPARK_LAUNCHER_OPTS="-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:+UnlockDiagnosticVMOptions -XX:-BytecodeVerificationRemote"
SPARK_DAEMON_JAVA_OPTS=$SPARK_LAUNCHER_OPTS
