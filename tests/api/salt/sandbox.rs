//! Salt with everything of its own in a temporary directory: configuration, states, keys, caches and the modules under
//! test. The virtual environments are those of `scripts/setup-salt`.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The secret of the token that Salt has.
pub const SECRET: &str = "virtapi_5a175a17_of-the-master-of-all-minions-in-these-tests";

/// The releases that are tested.
pub const RELEASES: [&str; 3] = ["3006", "3007", "3008"];

/// A program of a release.
pub fn program(release: &str, name: &str) -> PathBuf {
    let environments = std::env::var_os("VIRTAPI_SALT_DIR").map_or_else(
        || {
            let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
            let home = || PathBuf::from(std::env::var_os("HOME").expect("HOME is set")).join(".cache");
            cache.unwrap_or_else(home).join("virtapi/salt")
        },
        PathBuf::from,
    );
    let path = environments.join(release).join("bin").join(name);
    assert!(path.exists(), "{} is missing: run scripts/setup-salt", path.display());
    path
}

/// One minion, and perhaps its master.
pub struct Salt {
    release: &'static str,
    dir: TempDir,
    master: Option<Child>,
    minion: Option<Child>,
}

/// What a command came to.
pub struct Ran {
    pub status: i32,
    /// What it returned for the minion.
    pub value: Value,
    /// All that it said.
    pub said: String,
}

impl Salt {
    /// A minion without a master, which asks the server at this address.
    pub fn masterless(release: &'static str, url: &str) -> Self {
        let salt = Self::new(release);
        let mut config = salt.settings("minion");
        config["file_client"] = json!("local");
        salt.write_json("minion/minion", &merge(config, salt.backend(url)));
        salt
    }

    /// One that has these certificate files instead of a token.
    pub fn masterless_with(release: &'static str, url: &str, [ca, cert, key]: [&Path; 3]) -> Self {
        let salt = Self::new(release);
        let mut config = salt.settings("minion");
        config["file_client"] = json!("local");
        let mut config = merge(config, salt.backend(url));
        config["virtapi"] = json!({"url": url, "ca": ca, "cert": cert, "key": key});
        salt.write_json("minion/minion", &config);
        salt
    }

    /// A minion and its master, which asks the server at this address.
    pub fn with_master(release: &'static str, url: &str) -> Self {
        let mut salt = Self::new(release);
        let [publish, reply] = free_ports();
        let mut master = salt.settings("master");
        let of_master = json!({"interface": "127.0.0.1", "publish_port": publish, "ret_port": reply, "worker_threads": 2,
            "auto_accept": true, "pillar_mask_output": false, "event_return": ["virtapi"],
            "event_return_whitelist": ["salt/job/*/ret/*"]});
        master = merge(merge(master, of_master), salt.backend(url));
        salt.write_json("master/master", &master);
        let of_minion = json!({"master": "127.0.0.1", "publish_port": publish, "master_port": reply, "acceptance_wait_time": 1,
            "random_startup_delay": 0});
        salt.write_json("minion/minion", &merge(salt.settings("minion"), of_minion));
        salt.master = Some(salt.daemon("salt-master", "master"));
        let deadline = Instant::now() + Duration::from_mins(1);
        while TcpStream::connect(("127.0.0.1", reply)).is_err() {
            assert!(Instant::now() < deadline, "the master does not listen: {}", salt.log("master"));
            std::thread::sleep(Duration::from_millis(100));
        }
        salt
    }

    fn new(release: &'static str) -> Self {
        let salt = Self { release, dir: tempfile::tempdir().expect("a directory"), master: None, minion: None };
        let file = json!([{"name": salt.path("touched")}, {"contents": "a state ran"}]);
        salt.write_json("states/touch.sls", &json!({"touched": {"file.managed": file}}));
        // Beside it the highstate has whatever tops assign; without tops, the formula.
        let formula = if release == "3006" { json!(["touch", "virtapi"]) } else { json!(["touch"]) };
        salt.write_json("states/top.sls", &json!({"base": {"*": formula}}));
        salt
    }

    fn settings(&self, role: &str) -> Value {
        let root = self.path(role);
        fs::create_dir_all(&root).expect("a directory");
        json!({"root_dir": root, "conf_file": root.join(role), "pki_dir": root.join("pki"), "cachedir": root.join("cache"),
            "sock_dir": root.join("sock"), "log_file": root.join("log"), "pidfile": root.join("pid"),
            "user": whoami(), "enable_fqdns_grains": false, "pillar_mask_output": false,
            // This machine is not to become what the document says.
            "virtapi_hypervisor": {"manage": false}, "virtapi_ceph": {"manage": false}})
    }

    fn backend(&self, url: &str) -> Value {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("salt");
        let token = self.path("token");
        fs::write(&token, SECRET).expect("a file");
        fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).expect("sets");
        json!({"module_dirs": [source.join("modules")], "virtapi": {"url": url, "token_file": token},
            "ext_pillar": [{"virtapi": {}}], "master_tops": {"virtapi": {}},
            "file_roots": {"base": [self.path("states"), source.join("formula")]},
            "pillar_roots": {"base": [self.path("pillar")]}})
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn write_json(&self, name: &str, value: &Value) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        fs::write(path, value.to_string()).expect("a file");
    }

    fn daemon(&self, name: &str, role: &str) -> Child {
        let said = fs::File::create(self.path(&format!("{role}/said"))).expect("a file");
        let mut command = Command::new(program(self.release, name));
        command.arg("-c").arg(self.path(role)).env("PYTHONWARNINGS", "ignore").env("PYTHONDONTWRITEBYTECODE", "1");
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(said).spawn().expect("it starts")
    }

    fn log(&self, role: &str) -> String {
        ["said", "log"]
            .map(|name| fs::read_to_string(self.path(&format!("{role}/{name}"))).unwrap_or_default())
            .concat()
    }

    fn run(&self, name: &str, role: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(program(self.release, name));
        command.arg("-c").arg(self.path(role)).args(["--out", "json"]).args(arguments);
        command.env("PYTHONWARNINGS", "ignore").env("PYTHONDONTWRITEBYTECODE", "1").output().expect("it starts")
    }

    /// Runs a function on the minion with this id, by `salt-call`.
    pub fn call(&self, id: &str, function: &[&str]) -> Ran {
        let mut arguments = vec!["--retcode-passthrough", "--id", id];
        if self.master.is_none() {
            arguments.push("--local");
        }
        arguments.extend(function);
        Ran::new(&self.run("salt-call", "minion", &arguments), "local")
    }

    /// Starts the minion's daemon, and waits until the master reaches it.
    pub fn start_minion(&mut self, id: &str) {
        self.configure(|config| config["id"] = json!(id));
        self.minion = Some(self.daemon("salt-minion", "minion"));
        let deadline = Instant::now() + Duration::from_secs(90);
        while self.publish(id, &["-t", "2"], &["test.ping"]).value != true {
            assert!(Instant::now() < deadline, "the minion does not answer: {}", self.log("minion"));
        }
    }

    /// Runs a function on the minion, by `salt` on the master.
    pub fn publish(&self, id: &str, options: &[&str], function: &[&str]) -> Ran {
        let arguments = [options, &[id], function].concat();
        Ran::new(&self.run("salt", "master", &arguments), id)
    }

    /// Whether a state ran since the last time that this was asked.
    pub fn touched(&self) -> bool {
        fs::remove_file(self.path("touched")).is_ok()
    }

    /// How long a copy may stand in for the server, where there is no master.
    pub fn set_max_age(&self, seconds: u32) {
        self.configure(|config| config["virtapi"]["max_age"] = json!(seconds));
    }

    fn configure(&self, change: impl Fn(&mut Value)) {
        let file = self.path("minion/minion");
        let mut config = serde_json::from_slice(&fs::read(&file).expect("a file")).expect("JSON");
        change(&mut config);
        fs::write(file, config.to_string()).expect("a file");
    }
}

impl Drop for Salt {
    fn drop(&mut self) {
        for daemon in [self.minion.as_mut(), self.master.as_mut()].into_iter().flatten() {
            let pid = Pid::from_child(daemon);
            kill_process(pid, Signal::TERM).expect("it runs");
            daemon.wait().expect("it has ended");
            // Its own children take a while longer, if there are any left.
            let ended = kill_process_group(pid, Signal::KILL);
            assert!(matches!(ended, Ok(()) | Err(Errno::SRCH)), "{ended:?}");
        }
    }
}

impl Ran {
    fn new(output: &Output, key: &str) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let value: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        Self {
            status: output.status.code().unwrap_or(-1),
            value: value.get(key).cloned().unwrap_or_default(),
            said: text(&output.stdout) + text(&output.stderr).as_str(),
        }
    }

    /// What it returned, after it has succeeded.
    pub fn succeeded(self) -> Value {
        assert_eq!(self.status, 0, "{}", self.said);
        self.value
    }
}

fn merge(mut into: Value, from: Value) -> Value {
    if let (Value::Object(into), Value::Object(from)) = (&mut into, from) {
        into.extend(from);
    }
    into
}

fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind(("127.0.0.1", 0)).expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("an address").port())
}

fn whoami() -> String {
    let output = Command::new("id").arg("-un").output().expect("it starts");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}
