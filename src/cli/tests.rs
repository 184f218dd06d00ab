//! The command line as a user meets it.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use crate::cli::{Console, ExitStatus, run};

pub(super) fn outcome(args: &[&str]) -> (ExitStatus, String, String) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut console = Console { out: &mut out, err: &mut err };
    let args = std::iter::once("portcullis").chain(args.iter().copied()).map(OsString::from);
    let status = run(args, &mut console);
    (status, String::from_utf8(out).unwrap(), String::from_utf8(err).unwrap())
}

#[test]
fn help_teaches_with_examples_and_exit_codes() {
    let (status, out, _) = outcome(&["--help"]);
    assert_eq!(status, ExitStatus::Success);
    for text in ["portcullis quickstart", "--config", "Exit codes:", "SIGTERM", "SIGHUP"] {
        assert!(out.contains(text), "{text} in {out}");
    }
}

#[test]
fn the_version_is_printed_for_every_spelling() {
    for flag in ["--version", "-version", "-v", "-V"] {
        let (status, out, _) = outcome(&[flag]);
        assert_eq!(status, ExitStatus::Success, "{flag}");
        assert!(out.contains(env!("CARGO_PKG_VERSION")), "{flag}: {out}");
    }
}

#[test]
fn an_unknown_flag_is_a_usage_error_on_standard_error() {
    let (status, out, err) = outcome(&["--confg=x"]);
    assert_eq!(status, ExitStatus::Usage);
    assert!(out.is_empty());
    assert!(err.contains("--config"), "{err}");
}

#[test]
fn components_lists_what_can_be_used() {
    let (status, out, _) = outcome(&["components"]);
    assert_eq!(status, ExitStatus::Success);
    for text in
        ["receivers:\n    - name: nop\n", "- name: otlp\n", "alias: otlphttp", "health_check"]
    {
        assert!(out.contains(text), "{text} in {out}");
    }
}

#[test]
fn healthcheck_succeeds_on_200_only() {
    for (answer, wanted, told) in [
        ("200 OK", ExitStatus::Success, ""),
        ("503 Busy", ExitStatus::Failure, "its log says what it lacks"),
        ("404 Not Found", ExitStatus::Failure, "is that the endpoint and path"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _request = stream.read(&mut [0; 1024]).unwrap();
            write!(stream, "HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n").unwrap();
        });
        let (status, _, err) = outcome(&["healthcheck", "--endpoint", &url]);
        server.join().unwrap();
        assert_eq!(status, wanted, "{err}");
        assert!(err.contains(told), "{told} in {err}");
    }
}

#[test]
fn healthcheck_says_what_to_do_when_nobody_answers() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/");
    let (status, _, err) = outcome(&["healthcheck", "--endpoint", &url]);
    assert_eq!(status, ExitStatus::Failure);
    assert!(err.contains("health_check extension"), "{err}");
}

#[test]
fn without_a_configuration_it_teaches_how_to_get_one() {
    let (status, out, err) = outcome(&[]);
    assert_eq!(status, ExitStatus::Usage);
    assert!(out.is_empty());
    for text in ["portcullis quickstart", "--config gateway.yaml", "client_ca_file", "certs"] {
        assert!(err.contains(text), "{text} in {err}");
    }
}

#[test]
fn what_people_type_out_of_habit_is_answered_with_the_right_spelling() {
    for (args, tip) in [
        (&["gateway.yaml"][..], "--config gateway.yaml"),
        (&["validate", "etc/gateway.yml"], "--config etc/gateway.yml"),
        (&["-c", "gateway.yaml"], "named by --config"),
        (&["run"], "`portcullis --config gateway.yaml` runs it"),
        (&["version"], "--version"),
    ] {
        let (status, _, err) = outcome(args);
        assert_eq!(status, ExitStatus::Usage, "{args:?}");
        assert!(err.contains("tip: ") && err.contains(tip), "{args:?}: {err}");
    }
}

/// Nobody who writes `| head` wants to read of a broken pipe.
#[test]
fn a_reader_that_has_gone_is_no_news() {
    struct Gone(std::io::ErrorKind);
    impl std::io::Write for Gone {
        fn write(&mut self, _bytes: &[u8]) -> std::io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    for args in [&["components"][..], &["doctor"], &["certs", "show", "none.crt"]] {
        for (kind, is_said) in
            [(std::io::ErrorKind::BrokenPipe, false), (std::io::ErrorKind::StorageFull, true)]
        {
            let (mut out, mut err) = (Gone(kind), Vec::new());
            let mut console = Console { out: &mut out, err: &mut err };
            let words = std::iter::once("portcullis").chain(args.iter().copied());
            let status = run(words.map(OsString::from), &mut console);
            assert_eq!(status, ExitStatus::Failure, "{args:?}");
            assert_eq!(!err.is_empty(), is_said, "{args:?}: {}", String::from_utf8_lossy(&err));
        }
    }
}

/// Guarantees: whatever is asked for, a command line that names no configuration ends as one that
/// was not understood.
#[test]
fn commands_without_a_configuration_end_as_a_run_without_one() {
    for words in [
        &["validate"][..],
        &["validate", "--format", "json"],
        &["print-config"],
        &["doctor", "--upstream"],
        &["validate", "--set", "a=b"],
    ] {
        let (status, out, err) = outcome(words);
        assert_eq!(status, ExitStatus::Usage, "{words:?}: {out}{err}");
        assert!((out + &err).contains("no configuration is given"), "{words:?}");
    }
}
