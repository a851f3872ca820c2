//! A receiver of webhooks: a server that speaks HTTPS, answers as it is told to, and keeps what it was sent.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;
use std::collections::{HashMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::tls::authority::{Authority, Leaf};

/// It serves as long as the test lasts.
pub struct Receiver {
    pub url: String,
    /// The authority of its certificate, as a file.
    pub ca: tempfile::NamedTempFile,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    connections: usize,
    answers: VecDeque<String>,
    seen: Vec<Message>,
}

/// What was sent.
#[derive(Clone, Debug)]
pub struct Message {
    pub headers: HashMap<String, String>,
    pub text: String,
    pub body: Value,
}

impl Receiver {
    pub fn start() -> Self {
        let authority = Authority::new("Receivers");
        let config = config(&authority.issue("receiver", 7));
        let ca = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(ca.path(), authority.bundle()).expect("writes");
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let url = format!("https://{}/told", listener.local_addr().expect("an address"));
        let state = Arc::<Mutex<State>>::default();
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (config, state) = (config.clone(), shared.clone());
                std::thread::spawn(move || serve(stream, config, &state));
            }
        });
        Self { url, ca, state }
    }

    /// Answers the next messages so, and all others with 204.
    pub fn answer(&self, answers: &[&str]) {
        self.state.lock().unwrap().answers.extend(answers.iter().map(|&answer| answer.to_owned()));
    }

    /// What it was sent so far; it forgets it.
    pub fn take(&self) -> Vec<Message> {
        std::mem::take(&mut self.state.lock().unwrap().seen)
    }

    /// How often somebody has connected to it.
    pub fn connections(&self) -> usize {
        self.state.lock().unwrap().connections
    }
}

fn config(leaf: &Leaf) -> Arc<ServerConfig> {
    let certificates = CertificateDer::pem_slice_iter(leaf.certificate.as_bytes());
    let certificates = certificates.collect::<Result<_, _>>().expect("certificates");
    let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().expect("versions").with_no_client_auth();
    Arc::new(config.with_single_cert(certificates, key).expect("a pair"))
}

/// One request after the other, until the client has no more.
fn serve(stream: TcpStream, config: Arc<ServerConfig>, state: &Mutex<State>) {
    state.lock().unwrap().connections += 1;
    let tls = ServerConnection::new(config).expect("a connection");
    let mut stream = BufReader::new(StreamOwned::new(tls, stream));
    while let Some(message) = read(&mut stream) {
        let answer = {
            let mut state = state.lock().unwrap();
            state.seen.push(message);
            state.answers.pop_front().unwrap_or_else(|| "204 No Content".to_owned())
        };
        let answer = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n");
        if stream.get_mut().write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(stream: &mut impl BufRead) -> Option<Message> {
    let mut line = || {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|length| *length > 0).map(|_| line.trim_end().to_owned())
    };
    assert_eq!(line()?, "POST /told HTTP/1.1");
    let mut headers = HashMap::new();
    while let Some(header) = line().filter(|line| !line.is_empty()) {
        let (name, value) = header.split_once(": ").expect("a header");
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().expect("a length")];
    stream.read_exact(&mut body).ok()?;
    let text = String::from_utf8(body).expect("text");
    Some(Message { headers, body: serde_json::from_str(&text).expect("JSON"), text })
}
