"""A puppetserver with its own CA, and an agent of it, with everything in a temporary directory on loopback.

Like in production the server runs as the user puppet when that is possible, which is when the tests run as root.
"""
import json
import os
import pathlib
import shutil
import socket
import ssl
import subprocess
import tempfile
import time

from puppet_sandbox import ROOT, TIMEOUT, VIRTAPI

PACKAGED = pathlib.Path("/etc/puppet/puppetserver")
JAR = "/usr/share/puppetserver/puppetserver.jar"
# The server's certname: what its certificate says and the agent connects to.
SERVER = "localhost"
READY = "Puppet Server has successfully started and is now ready to handle requests"


class PuppetserverSandbox:
    """Start with `start`; the agent's runs are `agent`."""

    def __init__(self, certname):
        self.certname = certname
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="virtapi-puppetserver-"))
        self.applied = self.dir / "applied"
        self.environment = self.dir / "code/environments/production"
        self.cert = self.dir / f"ssl/certs/{SERVER}.pem"
        self.key = self.dir / f"ssl/private_keys/{SERVER}.pem"
        self.ca = self.dir / "ssl/certs/ca.pem"
        # What the CA has revoked: its own list, and the root's.
        self.crl = self.dir / "ca/ca_crl.pem"
        self._java = None
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self._lay_out()

    def _write(self, name, text):
        path = self.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def _lay_out(self):
        top = self.dir
        # The user puppet has to get through, and may not see the source tree.
        top.chmod(0o755)
        shutil.copytree(ROOT / "puppet", top / "code/modules/virtapi")
        shutil.copy(VIRTAPI, top / "virtapi")
        self._write("code/environments/production/manifests/site.pp",
                    f"file {{ '{self.applied}': content => 'applied' }}\n")
        self._write("conf/puppet.conf", f"""[main]
ssldir = {top}/ssl
codedir = {top}/code
[server]
certname = {SERVER}
vardir = {top}/var
rundir = {top}/run
logdir = {top}/log
cadir = {top}/ca
autosign = true
node_terminus = exec
external_nodes = {top}/virtapi enc --config {top}/enc.toml
""")
        shutil.copytree(PACKAGED / "conf.d", top / "server/conf.d")
        shutil.copytree(PACKAGED / "services.d", top / "server/services.d")
        self._write("server/conf.d/global.conf", f"global: {{ logging-config: {top}/server/logback.xml }}\n")
        self._write("server/conf.d/metrics.conf", "metrics: { server-id: localhost }\n")
        self._write("server/conf.d/webserver.conf",
                    f"webserver: {{ client-auth: want, ssl-host: 127.0.0.1, ssl-port: {self._port} }}\n")
        self._write("server/conf.d/puppetserver.conf", f"""jruby-puppet: {{
  ruby-load-path: [/usr/lib/puppetserver/ruby/vendor_ruby]
  gem-home: {top}/var/jruby-gems
  gem-path: ["{top}/var/jruby-gems", /usr/lib/puppetserver/vendored-jruby-gems]
  server-conf-dir: {top}/conf, server-code-dir: {top}/code, server-var-dir: {top}/var
  server-run-dir: {top}/run, server-log-dir: {top}/log
  max-active-instances: 1
}}
""")
        self._write("server/logback.xml", """<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%d %-5p [%c{2}] %m%n</pattern></encoder>
  </appender>
  <root level="info"><appender-ref ref="OUT"/></root>
</configuration>
""")
        # For the CA's own command, which talks with the server.
        self._write("ca.conf", f"""[main]
ssldir = {top}/ssl
cadir = {top}/ca
certname = {SERVER}
server = {SERVER}
serverport = {self._port}
""")
        for name in ("var", "run", "log", "agent"):
            (top / name).mkdir()

    def start(self):
        """Make the CA and start the server; returns when it answers."""
        subprocess.run(["puppetserver", "ca", "setup", "--config", self.dir / "conf/puppet.conf"], check=True,
                       capture_output=True, timeout=120)
        user = {}
        if os.geteuid() == 0:
            subprocess.run(["chown", "-R", "puppet:puppet", self.dir], check=True)
            user = {"user": "puppet", "group": "puppet", "extra_groups": []}
        words = ["java", "-Xms128m", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-Djruby.lib=/usr/share/jruby/lib",
                 "-Djruby.logger.class=com.puppetlabs.jruby_utils.jruby.Slf4jLogger", "-jar", JAR,
                 "--config", self.dir / "server/conf.d", "--bootstrap-config", self.dir / "server/services.d",
                 "--restart-file", self.dir / "run/restart"]
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.dir / "var"), "LANG": "C.UTF-8"}
        with open(self.dir / "server.log", "w", encoding="utf-8") as log:
            self._java = subprocess.Popen(words, cwd=self.dir, env=environment, stdout=log, stderr=subprocess.STDOUT,
                                          **user)
        end = time.monotonic() + 300
        while READY not in self.log():
            if self._java.poll() is not None or time.monotonic() > end:
                raise AssertionError("puppetserver did not start:\n" + self.log()[-4000:])
            time.sleep(0.5)

    def authority(self, *words):
        """Run `puppetserver ca` with these words on the server that is up."""
        run = subprocess.run(["puppetserver", "ca", *words, "--config", self.dir / "ca.conf"], capture_output=True,
                             timeout=180, encoding="utf-8", check=False)
        if run.returncode != 0:
            raise AssertionError(f"puppetserver ca {' '.join(words)}: {run.stdout}{run.stderr}")

    def issue(self, certname):
        """Have a certificate issued; returns its file and that of its key."""
        self.authority("generate", "--certname", certname)
        return self.dir / f"ssl/certs/{certname}.pem", self.dir / f"ssl/private_keys/{certname}.pem"

    def log(self):
        return (self.dir / "server.log").read_text(encoding="utf-8")

    def stop(self):
        if self._java and self._java.poll() is None:
            self._java.terminate()
            try:
                self._java.wait(30)
            except subprocess.TimeoutExpired:
                self._java.kill()
                self._java.wait()
        shutil.rmtree(self.dir)

    def tls(self):
        """A server's side of TLS that wants a certificate of the CA."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        context.load_verify_locations(self.ca)
        context.verify_mode = ssl.CERT_REQUIRED
        return context

    def ask(self, url, token=None, **enc):
        """Let ENC and Hiera ask the server at `url`, with Puppet's certificates and perhaps a token."""
        options = {"timeout": TIMEOUT}
        if token:
            self._write("token", token)
            path = self.dir / "token"
            path.chmod(0o600)
            if os.geteuid() == 0:
                shutil.chown(path, "puppet", "puppet")
            options["token_file"] = enc["token_file"] = str(path)
        enc = {"url": url, "timeout": TIMEOUT, "cache_dir": str(self.dir / "var/copies"), "ca": str(self.ca),
               "cert": str(self.cert), "key": str(self.key), **enc}
        # JSON's strings and numbers are TOML's too.
        self._write("enc.toml", "".join(f"{name} = {json.dumps(value)}\n" for name, value in enc.items()))
        level = {"name": "virtapi", "data_hash": "virtapi::data", "uri": url + "/puppet/hiera/%{trusted.certname}",
                 "options": options}
        site = {"name": "site", "data_hash": "json_data", "datadir": "data", "path": "site.json"}
        self._write("code/environments/production/hiera.yaml",
                    f"version: 5\nhierarchy:\n  - {json.dumps(level)}\n  - {json.dumps(site)}\n")
        # This machine is neither a hypervisor nor a storage node.
        self._write("code/environments/production/data/site.json", '{"virtapi::hypervisor::manage": false, "virtapi::ceph::manage": false}')

    def agent(self):
        """Run the agent once for real; returns the exit status and what was said."""
        self.applied.unlink(missing_ok=True)
        words = ["puppet", "agent", "--test", "--server", SERVER, "--serverport", self._port, "--certname",
                 self.certname, "--confdir", self.dir / "agent", "--vardir", self.dir / "agent/var", "--ssldir",
                 self.dir / "agent/ssl", "--waitforcert", "0", "--color", "false"]
        run = subprocess.run(list(map(str, words)), env={**os.environ, "LANG": "C.UTF-8"}, capture_output=True,
                             timeout=180, encoding="utf-8", check=False)
        return run.returncode, run.stdout + run.stderr

    def catalog(self):
        """The last catalog that the agent got, as resources by reference."""
        path = self.dir / f"agent/var/client_data/catalog/{self.certname}.json"
        resources = json.loads(path.read_text(encoding="utf-8"))["resources"]
        return {f"{resource['type']}[{resource['title']}]": resource for resource in resources}
