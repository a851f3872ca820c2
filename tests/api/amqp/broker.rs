//! A broker (`RabbitMQ`) of its own, on free ports, in a directory of its own.

use rocket::tokio::time::sleep;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::tls::authority::Leaf;

/// Where Debian's package has it.
const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";

/// How long a start may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// It runs until the test ends, or stops it.
pub struct Broker {
    dir: tempfile::TempDir,
    port: u16,
    epmd_port: u16,
    epmd: Child,
    server: Option<Child>,
    /// Where it speaks TLS.
    tls_port: Option<u16>,
}

impl Broker {
    pub async fn start() -> Self {
        let mut broker = Self::new();
        broker.run().await;
        broker
    }

    /// One that speaks TLS as well, with this certificate.
    pub async fn start_with_tls(leaf: &Leaf, bundle: &str) -> Self {
        let mut broker = Self::new();
        let port = free_port();
        let path = |name: &str| broker.dir.path().join(name).display().to_string();
        let conf = format!(
            "listeners.ssl.default = 127.0.0.1:{port}\nssl_options.certfile = {}\nssl_options.keyfile = {}\n\
             ssl_options.cacertfile = {}\nssl_options.verify = verify_none\nssl_options.fail_if_no_peer_cert = false\n",
            path("certificate.pem"),
            path("key.pem"),
            path("ca.pem")
        );
        for (name, text) in [
            ("certificate.pem", &*leaf.certificate),
            ("key.pem", &*leaf.key),
            ("ca.pem", bundle),
            ("rabbitmq.conf", &*conf),
        ] {
            std::fs::write(path(name), text).expect("writes");
        }
        broker.tls_port = Some(port);
        broker.run().await;
        broker
    }

    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let (port, epmd_port) = (free_port(), free_port());
        // Else the server would start one that outlives it.
        let mut epmd = Command::new("epmd");
        epmd.args(["-address", "127.0.0.1", "-port", &epmd_port.to_string()]);
        let epmd = epmd.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let epmd = epmd.expect("epmd is installed: scripts/setup-rabbitmq");
        Self { dir, port, epmd_port, epmd, server: None, tls_port: None }
    }

    /// Starts it, again after it was stopped: it has what it had.
    pub async fn run(&mut self) {
        let path = |name: &str| self.dir.path().join(name);
        let log = std::fs::File::create(path("output")).expect("creates");
        let mut command = Command::new(SERVER);
        for (name, value) in [
            ("HOME", path("")),
            ("RABBITMQ_MNESIA_BASE", path("mnesia")),
            ("RABBITMQ_LOG_BASE", path("log")),
            ("RABBITMQ_PID_FILE", path("pid")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", path("plugins")),
            ("RABBITMQ_CONFIG_FILE", path(if self.tls_port.is_some() { "rabbitmq.conf" } else { "none" })),
            ("RABBITMQ_CONF_ENV_FILE", path("none")),
        ] {
            command.env(name, value);
        }
        command
            .env("RABBITMQ_NODENAME", format!("virtapi-{}@localhost", self.port))
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", self.port.to_string())
            .env("RABBITMQ_DIST_PORT", free_port().to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_EPMD_PORT", self.epmd_port.to_string())
            .stdin(Stdio::null())
            .stderr(log.try_clone().expect("a file"))
            .stdout(log);
        self.server = Some(command.spawn().expect("RabbitMQ is installed: scripts/setup-rabbitmq"));
        let begun = Instant::now();
        let ports = || std::iter::once(self.port).chain(self.tls_port);
        while ports().any(|port| TcpStream::connect(("127.0.0.1", port)).is_err()) {
            let said = || std::fs::read_to_string(self.dir.path().join("output")).unwrap_or_default();
            assert!(begun.elapsed() < PATIENCE, "it does not start: {}", said());
            sleep(Duration::from_millis(100)).await;
        }
    }

    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port)
    }

    /// The same over TLS, by a name of this machine.
    pub fn tls_url(&self, host: &str) -> String {
        format!("amqps://guest:guest@{host}:{}/%2f", self.tls_port.expect("speaks TLS"))
    }

    /// As a failure of its machine ends it.
    pub fn kill(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        // What was started is a script; the server has written its own number.
        let pid = std::fs::read_to_string(self.pid_file()).expect("has written its pid");
        let killed = Command::new("kill").args(["-9", pid.trim()]).status().expect("runs");
        assert!(killed.success(), "{pid}");
        server.wait().expect("ends");
        std::fs::remove_file(self.pid_file()).expect("is there");
    }

    fn pid_file(&self) -> PathBuf {
        self.dir.path().join("pid")
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
        self.epmd.kill().expect("is ours");
        self.epmd.wait().expect("ends");
    }
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("binds").local_addr().expect("an address").port()
}
