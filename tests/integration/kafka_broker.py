"""A real Kafka broker of a test's own: one KRaft node on a free port. Its jars come through Maven once and are kept in the cache
($HENGE_CACHE, else ~/.cache/henge)."""
import base64
import hashlib
import json
import os
import re
import shutil

import harness

POM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "kafka", "pom.xml")


def jars(say=print):
    """The directory with the broker's jars, filled by Maven the first time."""
    with open(POM, "rb") as f:
        pom = f.read()
    version = re.search(rb"<artifactId>kafka_2\.13</artifactId>\s*<version>([^<]+)<", pom).group(1).decode()
    cache = harness.cache_dir("kafka")
    # Another pom is another directory, so a changed list of jars is fetched anew.
    lib = os.path.join(cache, f"lib-{version}-{hashlib.sha256(pom).hexdigest()[:8]}")
    with harness.file_lock(os.path.join(cache, "lock")):
        if not os.path.isdir(lib):
            harness.check(shutil.which("mvn"), "Maven is not installed; tools/install-deps test installs it")
            say(f"fetching Kafka {version} through Maven")
            part = lib + ".part"
            shutil.rmtree(part, ignore_errors=True)
            command = ["mvn", "-q", "-B", "-f", POM, "dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={part}"]
            r = harness.subprocess.run(command, stdout=harness.subprocess.PIPE, stderr=harness.subprocess.STDOUT, text=True, timeout=900)
            harness.check(r.returncode == 0, f"Maven could not fetch Kafka:\n{r.stdout[-3000:]}")
            os.rename(part, lib)
    return lib


class Kafka:
    def __init__(self, env, name="kafka", heap="512m"):
        harness.check(shutil.which("java"), "no java; tools/install-deps test installs a JRE")
        self.env, self.name = env, name
        self.lib = jars(env.say)
        self.port, self.controller_port = env.ports.take(), env.ports.take()
        self.dir = env.path(name)
        os.mkdir(self.dir)
        self.config = os.path.join(self.dir, "server.properties")
        # A short-lived JVM on a busy machine: the small collector and compiler start fastest.
        self.java = ["java", f"-Xmx{heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
                     "-Dorg.slf4j.simpleLogger.log.kafka.server.KafkaRaftServer=info", "-cp", os.path.join(self.lib, "*")]
        with open(self.config, "w", encoding="utf-8") as f:
            f.write(f"""process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{self.controller_port}
listeners=PLAINTEXT://127.0.0.1:{self.port},CONTROLLER://127.0.0.1:{self.controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{self.port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
log.dirs={os.path.join(self.dir, "data")}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
share.coordinator.state.topic.replication.factor=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
""")
        cluster_id = base64.urlsafe_b64encode(os.urandom(16)).decode().rstrip("=").replace("-", "A")
        env.run(self.java + ["kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", self.config], 120)
        self.process = None
        self.start()

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.port}"

    def start(self, deadline_s=120):
        """Also after a stop or kill9: same port, same data."""
        before = 0
        if self.process:
            before = self.process.log_text().count("Kafka Server started")
        self.process = self.env.start(self.name, self.java + ["kafka.Kafka", self.config], cwd=self.dir)
        harness.wait_until("Kafka to start", lambda: self.process.log_text().count("Kafka Server started") > before and
                           harness.connects(self.port), deadline_s, process=self.process)

    def stop(self):
        return self.process.terminate(60)

    def kill9(self):
        self.process.kill9()

    def produce(self, topic, file, key_field=None, partitions=None, create=False, partition=None, rate=None, deadline_s=300):
        """Sends a file's lines and waits for their acknowledgement; what henge-produce reports."""
        argv = [self.env.program("henge-produce"), "--brokers", self.bootstrap, "--topic", topic]
        for flag, value in (("--key-field", key_field), ("--partitions", partitions), ("--partition", partition), ("--rate", rate)):
            if value is not None:
                argv += [flag, str(value)]
        return json.loads(self.env.run(argv + (["--create"] if create else []) + [file], deadline_s).stdout)

    def read_all(self, topic, n, deadline_s=60):
        """The first n messages of a topic, as bytes, in the order in which Kafka's own console consumer prints them."""
        r = harness.subprocess.run(self.java + ["org.apache.kafka.tools.consumer.ConsoleConsumer", "--bootstrap-server", self.bootstrap, "--topic",
                                                topic, "--from-beginning", "--max-messages", str(n), "--timeout-ms", str(int(deadline_s * 1000))],
                                   stdout=harness.subprocess.PIPE, stderr=harness.subprocess.DEVNULL, timeout=deadline_s + 30)
        return r.stdout.splitlines()


if __name__ == "__main__":
    print(jars())
