//! A key server on this machine that behaves as a test tells it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::Router as Routes;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::routing::get;
use futures_util::stream;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

/// What it answers.
#[derive(Debug, Clone)]
pub(super) enum Answer {
    /// These keys, one list after the other, the last one for good.
    Keys(Vec<Vec<Value>>),
    /// A text of this kind.
    Text(&'static str, String),
    /// A status without a document.
    Status(u16),
    /// A redirect to itself, where the keys are.
    Redirect(Vec<Value>),
    /// Bytes without end.
    Endless,
    /// A byte now and then.
    Drip,
    /// Nothing.
    Silence,
}

pub(super) struct StandIn {
    state: Arc<Shared>,
    port: u16,
    _stop: DropGuard,
}

struct Shared {
    answer: Mutex<Answer>,
    cache_control: Mutex<Option<&'static str>>,
    asked: AtomicU64,
}

impl StandIn {
    pub(super) async fn start(answer: Answer) -> StandIn {
        let state = Arc::new(Shared {
            answer: Mutex::new(answer),
            cache_control: Mutex::new(None),
            asked: AtomicU64::new(0),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let routes = Routes::new()
            .route("/jwks", get(serve))
            .route("/elsewhere", get(elsewhere))
            .with_state(Arc::clone(&state));
        let stop = CancellationToken::new();
        let ended = stop.clone();
        TaskTracker::new().spawn(async move {
            let serving = axum::serve(listener, routes).into_future();
            drop(ended.run_until_cancelled(serving).await);
        });
        StandIn { state, port, _stop: stop.drop_guard() }
    }

    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/jwks", self.port)
    }

    pub(super) fn answer(&self, answer: Answer) {
        *self.state.answer.lock() = answer;
    }

    pub(super) fn cache_control(&self, value: &'static str) {
        *self.state.cache_control.lock() = Some(value);
    }

    /// How often it was asked.
    pub(super) fn asked(&self) -> u64 {
        self.state.asked.load(Ordering::SeqCst)
    }
}

fn document(keys: &[Value]) -> Response {
    ([(header::CONTENT_TYPE, "application/json; charset=utf-8")], json!({"keys": keys}).to_string())
        .into_response()
}

async fn elsewhere(State(state): State<Arc<Shared>>) -> Response {
    match &*state.answer.lock() {
        Answer::Redirect(keys) => document(keys),
        _ => axum::http::StatusCode::NOT_FOUND.into_response(),
    }
}

async fn serve(State(state): State<Arc<Shared>>) -> Response {
    state.asked.fetch_add(1, Ordering::SeqCst);
    let answer = state.answer.lock().clone();
    let mut response = match answer {
        Answer::Keys(mut lists) => {
            let keys = lists.remove(0);
            if !lists.is_empty() {
                *state.answer.lock() = Answer::Keys(lists);
            }
            document(&keys)
        }
        Answer::Text(kind, text) => ([(header::CONTENT_TYPE, kind)], text).into_response(),
        Answer::Status(code) => axum::http::StatusCode::from_u16(code).unwrap().into_response(),
        Answer::Redirect(_) => Redirect::temporary("/elsewhere").into_response(),
        Answer::Endless => {
            let chunk = Bytes::from(vec![b' '; 64 * 1024]);
            body(stream::repeat_with(move || Ok(chunk.clone())))
        }
        Answer::Drip => {
            let now_and_then = tokio::time::interval(Duration::from_millis(200));
            body(stream::unfold(now_and_then, async |mut ticks| {
                ticks.tick().await;
                Some((Ok(Bytes::from_static(b" ")), ticks))
            }))
        }
        Answer::Silence => std::future::pending().await,
    };
    if let Some(value) = *state.cache_control.lock() {
        response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static(value));
    }
    response
}

fn body(chunks: impl stream::Stream<Item = Result<Bytes, std::io::Error>> + Send + 'static) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(chunks)).into_response()
}
