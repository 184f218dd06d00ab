//! How many frames of HTTP/2 a peer sends that bring nothing: pings, settings, priorities, window
//! updates, resets, empty data, unknown ones.
//!
//! Each is answered or ignored, so a flood of them costs the gateway as much as the peer and never
//! ends by itself. Guarantees that a peer may send [`PER_SECOND`] of them for ever, [`BURST`] at
//! once, and [`PER_REQUEST`] more with each request. Only the nine bytes before each frame are
//! looked at; the clock only after a burst. Also knows whether the peer lets answers come in small
//! pieces only. Decides nothing else: h2 parses every byte itself.

use tokio::time::Instant;

/// Follows the frames of one connection.
#[derive(Debug)]
pub(super) struct Meter {
    /// Bytes to the next frame's head.
    skip: u32,
    head: [u8; HEAD],
    /// Bytes of the head that are there.
    read: u8,
    /// Within the payload of SETTINGS; `head` holds its entries, one after the other.
    in_settings: bool,
    is_window_small: bool,
    /// What is left of the allowance.
    left: u32,
    since: Instant,
}

impl Meter {
    /// For a connection that begins with a preface of so many bytes.
    pub(super) fn new(preface: u32) -> Self {
        Self {
            skip: preface,
            head: [0; HEAD],
            read: 0,
            in_settings: false,
            is_window_small: false,
            left: BURST,
            since: Instant::now(),
        }
    }

    /// Whether an answer may be larger than the window of a new stream.
    pub(super) fn is_window_small(&self) -> bool {
        self.is_window_small
    }

    /// Takes the next bytes; false when the peer has gone too far.
    pub(super) fn take(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let count = bytes.len().min(usize::try_from(self.skip).unwrap_or(usize::MAX));
                let (payload, rest) = bytes.split_at_checked(count).unwrap_or_default();
                bytes = rest;
                self.skip -= u32::try_from(count).unwrap_or_default();
                if self.in_settings {
                    self.read_settings(payload);
                }
                continue;
            }
            let free = self.head.get_mut(usize::from(self.read)..).unwrap_or_default();
            let count = free.len().min(bytes.len());
            let (new, rest) = bytes.split_at_checked(count).unwrap_or_default();
            free.get_mut(..count).unwrap_or_default().copy_from_slice(new);
            bytes = rest;
            self.read += u8::try_from(count).unwrap_or_default();
            if usize::from(self.read) == HEAD {
                self.read = 0;
                let [high, middle, low, kind, flags, ..] = self.head;
                self.skip = u32::from_be_bytes([0, high, middle, low]);
                self.in_settings = kind == SETTINGS && self.skip > 0;
                if !self.allows(kind, flags) {
                    return false;
                }
            }
        }
        true
    }

    fn read_settings(&mut self, payload: &[u8]) {
        for byte in payload {
            if let Some(place) = self.head.get_mut(usize::from(self.read)) {
                *place = *byte;
            }
            self.read += 1;
            if self.read == SETTING {
                self.read = 0;
                let [0, INITIAL_WINDOW_SIZE, value @ .., _, _, _] = self.head else { continue };
                self.is_window_small = u32::from_be_bytes(value) < SMALL_WINDOW;
            }
        }
        if self.skip == 0 {
            self.read = 0;
        }
    }

    /// A frame of `self.skip` bytes.
    fn allows(&mut self, kind: u8, flags: u8) -> bool {
        let cost = match kind {
            DATA if self.skip > 0 || flags & END_STREAM != 0 => return true,
            HEADERS => {
                self.left = (self.left + PER_REQUEST).min(BURST);
                return true;
            }
            // More than a request earns: opening and resetting streams is a flood, too.
            RST_STREAM => PER_REQUEST + 1,
            _ => 1,
        };
        if self.left < cost {
            let now = Instant::now();
            let passed = now.saturating_duration_since(self.since).as_secs_f64();
            self.since = now;
            let earned = (passed * f64::from(PER_SECOND)).min(f64::from(BURST));
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "between 0 and BURST"
            )]
            let earned = earned as u32;
            self.left = (self.left + earned).min(BURST);
        }
        match self.left.checked_sub(cost) {
            Some(left) => self.left = left,
            None => return false,
        }
        true
    }
}

// RFC 9113, 4.1 and 6.
const HEAD: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const SETTING: u8 = 6;
const INITIAL_WINDOW_SIZE: u8 = 4;
const END_STREAM: u8 = 1;

/// Far more than any client needs. Below it a flood is not worth its name.
const PER_SECOND: u32 = 1000;
const BURST: u32 = 10_000;
/// Clients measure the line with a ping for each answer, and open two windows after it.
const PER_REQUEST: u32 = 8;

/// Answers are shorter.
const SMALL_WINDOW: u32 = 16 << 10;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PING: u8 = 6;

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        [&length[1..], &[kind, flags, 0, 0, 0, 1], payload].concat()
    }

    /// How often the meter takes `frames`; at most 100,000 times.
    fn endured(meter: &mut Meter, frames: &[u8]) -> u32 {
        let endured = (0..100_000).find(|_| !meter.take(frames)).unwrap_or(100_000);
        // A connection would be over; here the next frames begin anew.
        meter.skip = 0;
        endured
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_endured_and_not_one_frame_more() {
        let control = [(PING, 8), (4, 0), (2, 5), (8, 4), (9, 0), (DATA, 0), (0xbe, 20)];
        for (kind, length) in control {
            let mut meter = Meter::new(0);
            let frame = frame(kind, 0, &vec![0; length]);
            assert_eq!(endured(&mut meter, &frame), BURST, "kind {kind}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_time_and_requests_earn_can_be_spent() {
        let mut meter = Meter::new(0);
        let ping = frame(PING, 0, &[0; 8]);
        assert_eq!(endured(&mut meter, &ping), BURST);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(endured(&mut meter, &ping), PER_SECOND);
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert_eq!(endured(&mut meter, &ping), BURST);
        let request = [frame(HEADERS, 4, b"head"), frame(DATA, END_STREAM, b"body")].concat();
        let polite = [request.clone(), ping.repeat(8)].concat();
        assert_eq!(endured(&mut meter, &polite), 100_000);
        let rude = [request, ping.repeat(9)].concat();
        assert!(endured(&mut meter, &rude) < 100_000);
    }

    #[tokio::test(start_paused = true)]
    async fn requests_that_are_reset_at_once_are_a_flood_and_others_are_not() {
        let opened = frame(HEADERS, 5, b"head");
        let reset = [opened.clone(), frame(RST_STREAM, 0, &[0, 0, 0, 8])].concat();
        assert!(endured(&mut Meter::new(0), &reset) <= BURST);
        assert_eq!(endured(&mut Meter::new(0), &opened), 100_000);
        let empty_end = [opened, frame(DATA, END_STREAM, b"")].concat();
        assert_eq!(endured(&mut Meter::new(0), &empty_end), 100_000);
    }

    /// Guarantees: where reads cut the frames does not matter.
    #[tokio::test(start_paused = true)]
    async fn frames_are_counted_however_they_are_cut() {
        let preface = [0; 24];
        let frames = [frame(DATA, 0, &[6; 1000]), frame(PING, 0, &[9; 8])].concat();
        let stream = [&preface[..], &frames.repeat(50)].concat();
        for size in [1, 2, 7, 9, 10, 1018, stream.len()] {
            let mut meter = Meter::new(24);
            assert!(stream.chunks(size).all(|piece| meter.take(piece)));
            assert_eq!(meter.left, BURST - 50, "in pieces of {size}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_small_window_is_known_however_the_settings_are_cut() {
        let settings = |window: u32| {
            let other = [0, 3, 0, 0, 0, 100];
            let own = [&[0, INITIAL_WINDOW_SIZE][..], &window.to_be_bytes()].concat();
            frame(SETTINGS, 0, &[&other[..], &own, &other].concat())
        };
        let stream = [settings(1), frame(PING, 0, &[0; 8]), settings(65_535)].concat();
        for size in [1, 2, 5, 6, 9, 11, stream.len()] {
            let mut meter = Meter::new(0);
            let (first, rest) = stream.split_at(settings(1).len());
            assert!(first.chunks(size).all(|piece| meter.take(piece)));
            assert!(meter.is_window_small(), "in pieces of {size}");
            assert!(rest.chunks(size).all(|piece| meter.take(piece)));
            assert!(!meter.is_window_small(), "in pieces of {size}");
            assert_eq!(meter.left, BURST - 3);
        }
    }
}
