use super::*;

/// A daemon that repeats the name it is asked about, and the path of its socket.
fn echo_daemon(folder: &Path) -> PathBuf {
    let path = folder.join("admin.sock");
    let (ready, bound) = std::sync::mpsc::channel();
    let at = path.clone();
    std::thread::Builder::new()
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("runtime").block_on(async move {
                let socket = AdminSocket::bind(&at).expect("bind");
                let (send, mut requests) = mpsc::channel(1);
                ready.send(()).expect("test waits");
                let serving = tokio::spawn(socket.serve(send));
                while let Some((request, reply)) = requests.recv().await {
                    let _ = reply.send(match request {
                        Request::Why { name, .. } => Reply::done(&name),
                        Request::Status => break,
                        _ => Reply::Refused(Refusal::new(RefusalKind::Invalid, "not today")),
                    });
                }
                drop(requests);
                let _ = serving.await;
            });
        })
        .expect("thread");
    bound.recv().expect("daemon is up");
    path
}

fn why(name: &str) -> Request {
    Request::Why { name: name.to_owned(), policy: None, client: None }
}

#[test]
fn a_request_gets_its_reply_and_a_refusal_its_reason() {
    let folder = tempfile::tempdir().expect("folder");
    let path = echo_daemon(folder.path());
    assert_eq!(ask(&path, &why("ads.example")).expect("reply"), Reply::done(&"ads.example"));
    let refused = Refusal::new(RefusalKind::Invalid, "not today");
    assert_eq!(ask(&path, &Request::Lists).expect("reply"), Reply::Refused(refused));
    let mode = std::fs::metadata(&path).expect("socket").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
}

#[test]
fn nobody_listening_says_that_no_lanward_runs() {
    let folder = tempfile::tempdir().expect("folder");
    let error = ask(&folder.path().join("admin.sock"), &Request::Lists).expect_err("nobody");
    assert!(matches!(error, AskError::NotRunning(_)), "{error}");
}

#[test]
fn a_socket_left_by_a_dead_daemon_is_replaced_and_a_living_one_is_not() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("admin.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).expect("bind"));
    assert!(path.exists(), "a killed daemon leaves its file");
    assert!(matches!(ask(&path, &Request::Lists), Err(AskError::NotRunning(_))));
    let path = echo_daemon(folder.path());
    assert_eq!(ask(&path, &why("a")).expect("reply"), Reply::done(&"a"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let taken = runtime.expect("runtime").block_on(async { AdminSocket::bind(&path) });
    assert!(matches!(taken, Err(BindError::Taken(_))));
    assert_eq!(ask(&path, &why("b")).expect("reply"), Reply::done(&"b"));
}

#[test]
fn a_file_that_is_no_socket_is_not_removed() {
    let folder = tempfile::tempdir().expect("folder");
    let path = folder.path().join("admin.sock");
    std::fs::write(&path, "precious").expect("write");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let bound = runtime.expect("runtime").block_on(async { AdminSocket::bind(&path) });
    assert!(matches!(bound, Err(BindError::NotASocket(_))));
    assert_eq!(std::fs::read_to_string(&path).expect("read"), "precious");
}

#[test]
fn garbage_and_endless_lines_are_refused_and_the_daemon_lives_on() {
    let folder = tempfile::tempdir().expect("folder");
    let path = echo_daemon(folder.path());
    for garbage in [&b"\x00\xff garbage\n"[..], b"{\"ask\":\"dance\"}\n", b"[]\n", b"\n"] {
        let mut stream = BlockingStream::connect(&path).expect("connect");
        stream.write_all(garbage).expect("write");
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).expect("read");
        assert!(line.contains(r#""kind":"unknown""#), "{line}");
    }
    let mut stream = BlockingStream::connect(&path).expect("connect");
    let endless = vec![b' '; REQUEST_MAX + 1];
    stream.write_all(&endless).expect("write");
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).expect("read");
    assert!(line.contains("at most"), "{line}");
    assert_eq!(ask(&path, &why("c")).expect("reply"), Reply::done(&"c"));
}

#[test]
fn the_file_goes_with_the_daemon() {
    let folder = tempfile::tempdir().expect("folder");
    let path = echo_daemon(folder.path());
    let error = ask(&path, &Request::Status).expect("a reply: it stops");
    assert!(matches!(error, Reply::Refused(Refusal { kind: RefusalKind::Unavailable, .. })));
    for _ in 0..500 {
        if !path.exists() {
            return;
        }
        #[allow(clippy::disallowed_methods, reason = "a test may wait for another thread")]
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("{} is still there", path.display());
}
