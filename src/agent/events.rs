//! Reads server-sent events (WHATWG HTML, section 9.2.6) from bytes as they come: their names, and how far they go. What
//! they say is not looked at. Of our own, for what there is keeps as much of an answer in memory as the server sends.

/// The longest line that is read. The longest that a server sends says where it is: some kilobytes at most.
const LONGEST: usize = 64 * 1024;

/// What is read so far.
#[derive(Default)]
pub struct Events {
    line: Vec<u8>,
    /// Whether the last byte ended a line with `\r`: `\n` belongs to it.
    after_return: bool,
    name: String,
    has_data: bool,
    id: Option<String>,
    /// The last id that was said and is over: what to go on from.
    pub last: Option<String>,
}

impl Events {
    /// Those that go on from there.
    pub fn after(last: Option<String>) -> Self {
        Self { id: last.clone(), last, ..Self::default() }
    }

    /// The names of the events that end in these bytes.
    ///
    /// # Errors
    /// A line does not end.
    pub fn read(&mut self, bytes: &[u8]) -> Result<Vec<String>, String> {
        let mut names = vec![];
        for &byte in bytes {
            let is_rest = std::mem::replace(&mut self.after_return, byte == b'\r') && byte == b'\n';
            match byte {
                _ if is_rest => {}
                b'\r' | b'\n' => names.extend(self.end_line()),
                _ if self.line.len() >= LONGEST => return Err(format!("it sends a line of more than {LONGEST} bytes")),
                _ => self.line.push(byte),
            }
        }
        Ok(names)
    }

    /// Takes a line; returns the name of the event that it ends, if it ends one.
    fn end_line(&mut self) -> Option<String> {
        let line = String::from_utf8_lossy(&std::mem::take(&mut self.line)).into_owned();
        if line.is_empty() {
            self.last.clone_from(&self.id);
            let name = std::mem::take(&mut self.name);
            return std::mem::take(&mut self.has_data).then_some(name);
        }
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => self.has_data = true,
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()).filter(|id| !id.is_empty()),
            // A comment, or what does not concern us.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str =
        ":\nid:1-5:5:\n\nevent:document\nid: 1-6:6:\ndata:{}\n\nevent:reset\r\ndata:{}\r\rdata\n\nid\n\n";

    #[test]
    fn events_are_read_however_the_bytes_come() {
        for size in 1..STREAM.len() {
            let mut events = Events::default();
            let mut seen = vec![];
            for part in STREAM.as_bytes().chunks(size) {
                for name in events.read(part).expect("reads") {
                    seen.push(name);
                }
            }
            assert_eq!(seen, ["document", "reset", ""], "{size}");
            assert_eq!(events.last, None, "the last one takes the id back");
        }
    }

    #[test]
    fn an_id_counts_when_its_event_is_over() {
        let mut events = Events::after(Some("a".into()));
        assert_eq!(events.read(b"id: b\ndata: {}\n").expect("reads"), [""; 0]);
        assert_eq!(events.last.as_deref(), Some("a"), "it may be cut off here");
        assert_eq!(events.read(b"\n").expect("reads"), [""]);
        assert_eq!(events.last.as_deref(), Some("b"));
        events.read(b": alive\n\n").expect("reads");
        assert_eq!(events.last.as_deref(), Some("b"), "what says no id changes none");
    }

    #[test]
    fn a_line_without_end_is_not_kept() {
        let mut events = Events::default();
        assert!((0..100).any(|_| events.read(&[b'x'; 1024]).is_err()));
    }
}
