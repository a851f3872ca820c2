//! A client that speaks TLS with the program, one connection at a time.

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

use super::authority::Leaf;
use crate::start::process::Server;

/// What trusts an authority, and perhaps has a certificate.
#[derive(Clone)]
pub struct Client(Arc<ClientConfig>);

/// A connection that is kept alive.
pub struct Connection {
    stream: StreamOwned<ClientConnection, TcpStream>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Client {
    /// One that trusts these authorities.
    pub fn new(bundle: &str, leaf: Option<&Leaf>) -> Self {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(bundle) {
            roots.add(certificate).expect("is an authority");
        }
        let config = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
        let config = config.with_safe_default_protocol_versions().expect("versions").with_root_certificates(roots);
        let config = match leaf {
            None => config.with_no_client_auth(),
            Some(leaf) => {
                let key = PrivateKeyDer::from_pem_slice(leaf.key.as_bytes()).expect("a key");
                config.with_client_auth_cert(certificates(&leaf.certificate), key).expect("a pair")
            }
        };
        Self(Arc::new(config))
    }

    pub fn connect(&self, server: &Server) -> io::Result<Connection> {
        let name = ServerName::try_from("127.0.0.1").expect("a name");
        let tls = ClientConnection::new(self.0.clone(), name).expect("a connection");
        Ok(Connection { stream: StreamOwned::new(tls, server.try_connect()?) })
    }

    /// One request on a connection of its own.
    pub fn ask(&self, server: &Server, request: &str, headers: &[&str]) -> io::Result<Answer> {
        self.connect(server)?.ask(request, headers)
    }
}

impl Connection {
    /// One request, without a body.
    pub fn ask(&mut self, request: &str, headers: &[&str]) -> io::Result<Answer> {
        self.send(&format!("{}\r\n", head(request, headers)))?;
        self.answer()
    }

    pub fn send(&mut self, text: &str) -> io::Result<()> {
        self.stream.write_all(text.as_bytes())?;
        self.stream.flush()
    }

    /// Reads so many bytes.
    pub fn read(&mut self, length: usize) -> io::Result<String> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        Ok(String::from_utf8(bytes).expect("text"))
    }

    /// Reads one answer, which says how long it is.
    pub fn answer(&mut self) -> io::Result<Answer> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head += &self.read(1)?;
        }
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let length = head.to_ascii_lowercase().split_once("\r\ncontent-length: ").and_then(|(_, rest)| {
            let (length, _) = rest.split_once('\r')?;
            length.parse().ok()
        });
        let body = self.read(length.unwrap_or_default())?;
        Ok(Answer { status, head, body })
    }

    /// The certificate that the server has shown.
    pub fn certificate(&self) -> Vec<u8> {
        self.stream.conn.peer_certificates().and_then(|chain| chain.first()).expect("shows one").to_vec()
    }
}

/// The head of a request, without its last line.
pub fn head(request: &str, headers: &[&str]) -> String {
    let more: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    format!("{request} HTTP/1.1\r\nHost: virtapi.example.com\r\n{more}")
}

fn certificates(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).collect::<Result<_, _>>().expect("is PEM")
}
