//! Certificates change where no file event tells of it: the poll finds every change, within the
//! eleven seconds that are promised for it.
//!
//! Each scenario has a gateway process of its own, for what the system allows a process to watch
//! and what is mounted for it are changed for that one alone.

mod alone;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep, timeout};

use crate::reload::connect;
use crate::support::pki::{Ca, Leaf, TestPki, server_params};
use alone::{Alone, Unseen, may_unshare};

/// From the last write to the moment at which a fresh handshake is shown the new certificate.
const PROMISE: Duration = Duration::from_secs(11);

/// Said of each look, at the level `debug`.
const LOOKED: &str = "looked at the certificates";

/// Half of the interval at which files are looked at: what is found sooner was found by an event.
const BY_EVENT: Duration = Duration::from_secs(5);

/// The folder `live` with a pair in it, and a gateway that serves it.
struct Scene {
    pki: TestPki,
    gateway: Alone,
}

impl Scene {
    /// `before` runs in the process before the gateway.
    async fn start(pki: TestPki, before: &str) -> Self {
        let gateway = Alone::start(&pki, "", before).await;
        let mut scene = Self { pki, gateway };
        scene.at_rest().await;
        scene
    }

    /// Waits until the gateway has looked at its files and for a second not again: the next look
    /// is the poll's, most of an interval later.
    async fn at_rest(&mut self) {
        self.gateway.log.line(LOOKED).await;
        while timeout(Duration::from_secs(1), self.gateway.log.line(LOOKED)).await.is_ok() {}
    }

    async fn shown(&self) -> Vec<u8> {
        let stream = connect(self.gateway.address, &self.pki, &self.pki.client, &[]).await;
        stream.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    }

    /// Waits for it; how long that took.
    async fn until_shown(&self, what: &str, leaf: &Leaf) -> Duration {
        let began = Instant::now();
        while self.shown().await != leaf.certificate.der().to_vec() {
            let waited = began.elapsed();
            assert!(waited < PROMISE, "{what}: not served after {waited:?}");
            sleep(Duration::from_millis(50)).await;
        }
        began.elapsed()
    }
}

fn leaf(pki: &TestPki) -> Leaf {
    pki.ca.issue(server_params(&["localhost"]))
}

/// Of every file, filled up with empty lines: what is mapped cannot grow.
const SIZE: usize = 4096;

/// A pair in `folder` of `pki`, which is made if it is not there.
fn lay_out(pki: &TestPki, folder: &str, leaf: &Leaf) {
    fs::create_dir_all(pki.path(folder)).unwrap();
    for (name, mut text) in [("tls.crt", leaf.cert_pem()), ("tls.key", leaf.key_pem())] {
        text.extend(std::iter::repeat_n('\n', SIZE - text.len()));
        pki.write(&format!("{folder}/{name}"), text);
    }
}

fn with_pair() -> TestPki {
    let pki = TestPki::new();
    lay_out(&pki, "live", &leaf(&pki));
    pki
}

/// No instance of inotify is left for the gateway, as where other programs of its user have them
/// all.
const EXHAUSTED: &str = "echo 0 > /proc/sys/user/max_inotify_instances";

const NO_WATCHER: &str = "cannot watch the folders of certificates";

/// Scenario: there is no instance of inotify left; the pair is replaced by rename.
/// Guarantees: the gateway starts, says once what is missing, and serves the pair in time.
async fn exhausted() {
    let mut scene = Scene::start(with_pair(), EXHAUSTED).await;
    let next = leaf(&scene.pki);
    lay_out(&scene.pki, "next", &next);
    for name in ["tls.key", "tls.crt"] {
        fs::rename(scene.pki.path("next").join(name), scene.pki.path("live").join(name)).unwrap();
    }
    let waited = scene.until_shown("no instance of inotify left", &next).await;
    eprintln!("watch: no instance of inotify left: served after {waited:?}");
    assert!(waited > BY_EVENT, "an event told of it: this shows nothing");
    scene.gateway.log.line("certificates reloaded").await;
    let said = scene.gateway.log.passed();
    let warnings: Vec<_> = said.iter().filter(|line| line.contains(NO_WATCHER)).collect();
    assert_eq!(warnings.len(), 1, "{said:#?}");
    assert!(warnings[0].contains("max_user_instances"), "{warnings:?}");
}

/// Scenario: the same, and the folder is moved away and another moved into its place.
async fn folder_replaced() {
    let scene = Scene::start(with_pair(), EXHAUSTED).await;
    let next = leaf(&scene.pki);
    lay_out(&scene.pki, "next", &next);
    fs::rename(scene.pki.path("live"), scene.pki.path("before")).unwrap();
    fs::rename(scene.pki.path("next"), scene.pki.path("live")).unwrap();
    let waited = scene.until_shown("the folder was replaced", &next).await;
    eprintln!("watch: folder replaced: served after {waited:?}");
    assert!(waited > BY_EVENT, "an event told of it: this shows nothing");
}

/// Scenario: the folder is a mount, which is taken away and another one put there; then a file of
/// the new one changes.
/// Guarantees: the poll finds the new mount, and from then on events of it are heard.
async fn mount_swapped() {
    let pki = TestPki::new();
    let second = leaf(&pki);
    lay_out(&pki, "first", &leaf(&pki));
    lay_out(&pki, "second", &second);
    fs::create_dir(pki.path("live")).unwrap();
    let mount = format!("mount --bind '{}' live", pki.path("first").display());
    let scene = Scene::start(pki, &mount).await;
    scene.gateway.run("umount live && mount --bind second live").await;
    let waited = scene.until_shown("the mount was swapped", &second).await;
    eprintln!("watch: mount swapped: served after {waited:?}");
    assert!(waited > BY_EVENT, "an event told of it: this shows nothing");
    let third = leaf(&scene.pki);
    lay_out(&scene.pki, "second", &third);
    let waited = scene.until_shown("a file of the new mount changed", &third).await;
    assert!(waited < BY_EVENT, "no event of the new mount was heard: {waited:?}");
}

/// Scenario: no events, and the files are links that lead nowhere for a while.
/// Guarantees: the last good pair is served meanwhile, the file is named, and the mend is found.
/// The interval is short here, for there are two changes.
async fn dangling() {
    let pki = TestPki::new();
    let first = leaf(&pki);
    lay_out(&pki, "first", &first);
    fs::create_dir(pki.path("live")).unwrap();
    let retarget = |pki: &TestPki, to: &str| {
        for name in ["tls.crt", "tls.key"] {
            let (fresh, link) = (pki.path("link"), pki.path("live").join(name));
            symlink(Path::new("..").join(to).join(name), &fresh).unwrap();
            fs::rename(fresh, link).unwrap();
        }
    };
    retarget(&pki, "first");
    let gateway = Alone::start(&pki, "reload_interval: 1s", EXHAUSTED).await;
    let mut scene = Scene { pki, gateway };
    retarget(&scene.pki, "second");
    let refused = scene.gateway.log.line("changed certificates cannot be used").await;
    assert!(refused.contains("which does not exist"), "{refused}");
    assert_eq!(scene.shown().await, first.certificate.der().to_vec());
    let second = leaf(&scene.pki);
    lay_out(&scene.pki, "second", &second);
    let waited = scene.until_shown("the links led nowhere for a while", &second).await;
    eprintln!("watch: links mended: served after {waited:?}");
}

/// Scenario: the files change as on a file system that tells nobody, such as NFS.
async fn without_events() {
    let pki = with_pair();
    let next = leaf(&pki);
    lay_out(&pki, "elsewhere/next", &next);
    let Some(mut unseen) = Unseen::prepare(&pki.path("live"), &pki.path("elsewhere/next")).await
    else {
        eprintln!("watch: changes without events: skipped, there is no python3");
        return;
    };
    let scene = Scene::start(pki, "true").await;
    unseen.write().await;
    let waited = scene.until_shown("a change without events", &next).await;
    eprintln!("watch: a change without events: served after {waited:?}");
    assert!(waited > BY_EVENT, "an event told of it: this shows nothing");
}

/// Guarantees: with the interval that nobody has to set, whatever keeps events from a gateway,
/// fresh handshakes are shown the last certificate within eleven seconds. Takes as long, for the
/// time is the promise.
#[tokio::test]
async fn without_file_events_the_last_certificate_is_served_within_eleven_seconds() {
    if let Err(why) = may_unshare() {
        eprintln!("watch: only changes without events are tried here: {why}");
        return without_events().await;
    }
    tokio::join!(exhausted(), folder_replaced(), mount_swapped(), dangling(), without_events());
}

/// Scenario: a listener trusts the system's roots beside its own bundle, and one of them is taken
/// out of the system's bundle while a client of it is connected.
/// Guarantees: that client loses trust, though no file that the configuration names has changed.
#[tokio::test]
async fn a_ca_that_leaves_the_roots_of_the_system_is_trusted_no_more() {
    let pki = with_pair();
    fs::create_dir(pki.path("system")).unwrap();
    pki.write("system/roots.crt", pki.other_ca.pem());
    let bundle = "export SSL_CERT_FILE=system/roots.crt";
    let mut gateway = Alone::start(&pki, "include_system_ca_certs_pool: true", bundle).await;
    let mut stream = connect(gateway.address, &pki, &pki.other_client, &[]).await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = [0; 9];
    timeout(PROMISE, stream.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 ");
    pki.write("system/roots.crt", Ca::new("Another CA").pem());
    let said = gateway.log.line("a connected client is not trusted any more").await;
    assert!(said.contains("CN=other-client"), "{said}");
}
