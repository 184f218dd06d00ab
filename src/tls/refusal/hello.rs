//! What a ClientHello offered, for explaining a handshake that has failed already.
//!
//! Never used to decide anything: the TLS library has its own parser. Reads only what lies whole in
//! the recorded bytes, over record boundaries; gives up on anything else.

/// The parts that explanations need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hello {
    /// Highest version offered, such as 0x0303.
    pub(super) version: u16,
    /// Host name of SNI.
    pub(super) server_name: Option<String>,
    pub(super) cipher_suites: Vec<u16>,
    pub(super) groups: Vec<u16>,
    pub(super) protocols: Vec<String>,
}

impl Hello {
    /// Parses recorded bytes of a peer.
    pub(super) fn parse(recorded: &[u8]) -> Option<Self> {
        let message = handshake(recorded)?;
        let mut reader = Reader(&message);
        let version = reader.u16()?;
        reader.take(32)?;
        let session = reader.u8()?;
        reader.take(session.into())?;
        let suites = reader.sized()?;
        let compressions = reader.u8()?;
        reader.take(compressions.into())?;
        let mut hello = Self { version, cipher_suites: numbers(suites), ..Self::default() };
        // TLS 1.0 knows hellos without extensions.
        let mut extensions = Reader(reader.sized().unwrap_or_default());
        while let Some(kind) = extensions.u16() {
            hello.extension(kind, extensions.sized()?);
        }
        Some(hello)
    }

    fn extension(&mut self, kind: u16, body: &[u8]) {
        let mut reader = Reader(body);
        match kind {
            0 => {
                let mut names = Reader(reader.sized().unwrap_or_default());
                if names.u8() == Some(0) {
                    let name = names.sized().unwrap_or_default();
                    self.server_name = Some(String::from_utf8_lossy(name).into_owned());
                }
            }
            10 => self.groups = numbers(reader.sized().unwrap_or_default()),
            16 => {
                let mut list = Reader(reader.sized().unwrap_or_default());
                while let Some(length) = list.u8() {
                    let Some(name) = list.take(length.into()) else { break };
                    self.protocols.push(String::from_utf8_lossy(name).into_owned());
                }
            }
            43 => {
                let length = reader.u8().unwrap_or_default();
                let offered = numbers(reader.take(length.into()).unwrap_or_default());
                // GREASE values look like 0x?a?a.
                let real = offered.into_iter().filter(|one| (0x0300..=0x0304).contains(one));
                self.version = real.max().unwrap_or(self.version);
            }
            _ => {}
        }
    }

    /// `TLS 1.1` and so on.
    pub(super) fn version_name(&self) -> &'static str {
        match self.version {
            0x0300 => "SSL 3.0",
            0x0301 => "TLS 1.0",
            0x0302 => "TLS 1.1",
            0x0303 => "TLS 1.2",
            0x0304 => "TLS 1.3",
            _ => "an unknown version",
        }
    }

    /// The offered suites in hexadecimal, as registries list them; capped.
    pub(super) fn suite_codes(&self) -> String {
        codes(&self.cipher_suites)
    }

    /// The offered groups by name or number; capped.
    pub(super) fn group_names(&self) -> String {
        let names: Vec<_> = self
            .groups
            .iter()
            .filter(|group| !is_grease(**group))
            .take(SHOWN)
            .map(|group| match group {
                0x0017 => "P-256".to_owned(),
                0x0018 => "P-384".to_owned(),
                0x0019 => "P-521".to_owned(),
                0x001d => "X25519".to_owned(),
                0x001e => "X448".to_owned(),
                0x11ec => "X25519MLKEM768".to_owned(),
                other => format!("0x{other:04x}"),
            })
            .collect();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }
}

fn codes(numbers: &[u16]) -> String {
    let codes: Vec<_> = numbers
        .iter()
        .filter(|number| !is_grease(**number))
        .take(SHOWN)
        .map(|number| format!("0x{number:04x}"))
        .collect();
    if codes.is_empty() { "none".to_owned() } else { codes.join(", ") }
}

fn is_grease(number: u16) -> bool {
    number & 0x0f0f == 0x0a0a && number >> 8 == number & 0xff
}

/// The first handshake message, if it is a ClientHello and was recorded whole.
fn handshake(recorded: &[u8]) -> Option<Vec<u8>> {
    let mut records = Reader(recorded);
    let mut message = Vec::new();
    while let Some(kind) = records.u8() {
        if kind != 0x16 {
            break;
        }
        records.u16()?;
        let Some(fragment) = records.sized() else { break };
        message.extend_from_slice(fragment);
    }
    let mut reader = Reader(&message);
    if reader.u8()? != 1 {
        return None;
    }
    let length = usize::from(reader.u8()?) << 16 | usize::from(reader.u16()?);
    Some(reader.take(length)?.to_vec())
}

fn numbers(bytes: &[u8]) -> Vec<u16> {
    let mut reader = Reader(bytes);
    std::iter::from_fn(|| reader.u16()).collect()
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from(self.u8()?) << 8 | u16::from(self.u8()?))
    }

    /// Bytes behind their length in two bytes.
    fn sized(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.take(length.into())
    }
}

const SHOWN: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(mut bytes: Vec<u8>) {
            let _ = Hello::parse(&bytes);
            bytes.splice(0..0, [0x16, 3, 1, 0, 200, 1, 0, 0, 190, 3, 3]);
            let _ = Hello::parse(&bytes);
        }
    }
}
