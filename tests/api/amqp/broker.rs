//! A broker (`RabbitMQ`) of its own, on free ports, in a directory of its own.

use rocket::tokio::time::sleep;
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

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
}

impl Broker {
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let (port, epmd_port) = (free_port(), free_port());
        // Else the server would start one that outlives it.
        let mut epmd = Command::new("epmd");
        epmd.args(["-address", "127.0.0.1", "-port", &epmd_port.to_string()]);
        let epmd = epmd.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let epmd = epmd.expect("epmd is installed: scripts/setup-rabbitmq");
        let mut broker = Self { dir, port, epmd_port, epmd, server: None };
        broker.run().await;
        broker
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
            ("RABBITMQ_CONFIG_FILE", path("none")),
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
        while TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            let said = || std::fs::read_to_string(self.dir.path().join("output")).unwrap_or_default();
            assert!(begun.elapsed() < PATIENCE, "it does not start: {}", said());
            sleep(Duration::from_millis(100)).await;
        }
    }

    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/%2f", self.port)
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
