//! A web server on loopback that answers as a test tells it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// What a path answers.
#[derive(Clone, Debug, Default)]
pub(crate) struct Page {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: Vec<u8>,
    /// With it, a request that knows it gets 304.
    pub(crate) etag: Option<&'static str>,
    /// The connection stays open without an answer.
    pub(crate) silent: bool,
}

/// The server; it stops when dropped.
pub(crate) struct Server {
    pub(crate) port: u16,
    state: Arc<Mutex<State>>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct State {
    pages: BTreeMap<String, Page>,
    /// Heads of the requests, as they came.
    requests: Vec<String>,
}

impl Page {
    pub(crate) fn text(body: impl AsRef<[u8]>) -> Self {
        Self { status: 200, body: body.as_ref().to_vec(), ..Self::default() }
    }

    pub(crate) fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn etag(mut self, etag: &'static str) -> Self {
        self.etag = Some(etag);
        self
    }
}

impl Server {
    pub(crate) async fn start() -> Self {
        Self::start_with(None).await
    }

    /// With a TLS configuration it speaks HTTPS.
    pub(crate) async fn start_with(tls: Option<tokio_rustls::TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State::default()));
        let serving = state.clone();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (state, tls) = (serving.clone(), tls.clone());
                connections.spawn(async move {
                    match tls {
                        None => answer(stream, &state).await,
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                answer(stream, &state).await;
                            }
                        }
                    }
                });
            }
        });
        Self { port, state, task }
    }

    pub(crate) fn put(&self, path: &str, page: Page) {
        self.lock().pages.insert(path.to_owned(), page);
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.lock().requests.clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, state: &Mutex<State>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read(&mut byte).await {
            Ok(1) if head.len() < 16_384 => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let page = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.requests.push(head.clone());
        state.pages.get(&path).cloned().unwrap_or_else(|| Page::status(404))
    };
    if page.silent {
        let _ = stream.read(&mut byte).await;
        return;
    }
    let known = page.etag.is_some_and(|tag| head.contains(&format!("if-none-match: {tag}\r\n")));
    let (status, body) = if known { (304, Vec::new()) } else { (page.status, page.body) };
    let mut reply = format!("HTTP/1.1 {status} X\r\nconnection: close\r\n");
    if status != 304 {
        reply.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    for (name, value) in &page.headers {
        reply.push_str(&format!("{name}: {value}\r\n"));
    }
    if let Some(etag) = page.etag {
        reply.push_str(&format!("etag: {etag}\r\n"));
    }
    reply.push_str("\r\n");
    let _ = stream.write_all(reply.as_bytes()).await;
    let _ = stream.write_all(&body).await;
    let _ = stream.shutdown().await;
}
