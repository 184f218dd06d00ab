//! Files that stop the start: what is said of them, seen from outside.

use crate::refusals::program;
use crate::support::pki::TestPki;

/// Scenario: a key of root with mode 0600, and the program under uid 65534, as in a container.
/// Guarantees: both uids, the mode and the command that mends it; exit code 1.
#[test]
fn a_key_of_another_uid_is_refused_with_both_uids_the_mode_and_the_mend() {
    use std::os::unix::fs::PermissionsExt as _;

    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can start a program under another uid");
        return;
    }
    let pki = TestPki::new();
    let mode = |name: &str, mode: u32| {
        let mode = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(pki.path(name), mode).unwrap();
    };
    mode("", 0o755);
    mode("server.key", 0o600);
    // Where the program was built may be closed to others.
    std::fs::copy(env!("CARGO_BIN_EXE_portcullis"), pki.path("portcullis")).unwrap();
    mode("portcullis", 0o755);
    pki.write("config.yaml", program::config("client_ca_file: ca.crt"));
    let run = std::process::Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .args(["./portcullis", "validate", "--config", "config.yaml"])
        .current_dir(pki.dir())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stderr);
    assert_eq!(run.status.code(), Some(1), "{said}");
    for part in [
        "it belongs to uid 0 (gid 0) with mode 0600, and this process runs as uid 65534 (gid 65534)",
        "key_file",
        "`sudo chown 65534 server.key`",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
}

/// Guarantees: a file that is not there and a key of another certificate stop the start with the
/// key, the file and the mend.
#[test]
fn missing_files_and_a_key_of_another_certificate_stop_the_start() {
    let pki = TestPki::new();
    let validate = || {
        let run = std::process::Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(["validate", "--config", "config.yaml"])
            .current_dir(pki.dir())
            .output()
            .unwrap();
        assert_eq!(run.status.code(), Some(1));
        String::from_utf8_lossy(&run.stderr).into_owned()
    };
    pki.write("config.yaml", program::config("client_ca_file: none.crt"));
    let said = validate();
    for part in ["client_ca_file", "none.crt", "does not exist", "relative paths begin at"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    pki.write("server.key", pki.client.key_pem());
    pki.write("config.yaml", program::config("client_ca_file: ca.crt"));
    let said = validate();
    for part in
        ["is not the key of the certificate in server.crt, which is CN=test-server", "key_file"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
}
